"""The connection to the S3 buckets that hold the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.hooks.lookup import find_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.errors import DescribeError
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Connections kept open: images are read side by side.
_POOL: Final = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long S3 is waited for.

    :param connect: seconds until a connection is there.
    :param read: seconds until something comes.
    :param attempts: requests in all.
    """

    connect: float
    read: float
    attempts: int


#: Of a worker, and of a person who waits for a page.
_WORKERS: Final = Patience(connect=10, read=60, attempts=5)
_LOOKERS: Final = Patience(connect=3, read=10, attempts=2)


def open_images(aws_conn_id: str, *, requester_pays: bool, allowed_uris: tuple[str, ...]) -> ImageStore:
    """Open S3 through an AWS connection: role, region and endpoint come from there.

    :param aws_conn_id: the connection id; empty for what boto3 finds by itself, such as the machine's role.
    :param requester_pays: True to pay for requests to requester-pays buckets.
    :param allowed_uris: patterns over ``s3://bucket/key`` outside of which nothing is read; empty for no bounds.
    :raises SettingsError: if there is no such connection.
    """
    from airflow_midjourney.describe.storage.objects import DEFAULT_MAX_BYTES

    return _open(aws_conn_id, _WORKERS, requester_pays, allowed_uris, DEFAULT_MAX_BYTES)


def open_images_to_look(
    aws_conn_id: str, *, requester_pays: bool, allowed_uris: tuple[str, ...], max_bytes: int
) -> ImageStore:
    """As :func:`open_images`, for pages: smaller objects and short timeouts."""
    return _open(aws_conn_id, _LOOKERS, requester_pays, allowed_uris, max_bytes)


def _open(
    aws_conn_id: str, patience: Patience, requester_pays: bool, allowed_uris: tuple[str, ...], max_bytes: int
) -> ImageStore:
    from airflow_midjourney.describe.storage.objects import ImageStore

    return ImageStore(
        open_s3(aws_conn_id, patience),
        name=connection_name(aws_conn_id),
        requester_pays=requester_pays,
        allowed_uris=allowed_uris,
        max_bytes=max_bytes,
    )


def open_s3(aws_conn_id: str, patience: Patience = _WORKERS) -> S3Client:
    """Make an S3 client from an AWS connection.

    :param aws_conn_id: the connection id; empty for what boto3 finds by itself, such as the machine's role.
    :raises SettingsError: if there is no such connection, or boto3 does not accept what it says.
    :raises StorageError: if its role cannot be taken on.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    from airflow_midjourney.describe.storage.timestamps import read_times_quickly

    connection = _connection(aws_conn_id) if aws_conn_id else None

    class QuickS3Hook(S3Hook):
        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            """Give what was found: after a failed look-up the hook would go on with this machine's credentials."""
            return connection if connection is not None else super().get_connection(conn_id)

        def get_session(self, *arguments: Any, **options: Any) -> Session:
            return read_times_quickly(super().get_session(*arguments, **options))

    config = Config(
        connect_timeout=patience.connect,
        read_timeout=patience.read,
        retries={"mode": "standard", "max_attempts": patience.attempts},
        max_pool_connections=_POOL,
    )
    hook = QuickS3Hook(aws_conn_id=aws_conn_id or None, config=config)
    try:
        client: S3Client = hook.get_conn()
    except Exception as error:
        raise _unopened(error, aws_conn_id) from error
    return client


def connection_name(aws_conn_id: str) -> str:
    """Say what messages call an AWS connection."""
    return aws_conn_id or "none, boto3's own"


def _unopened(error: Exception, aws_conn_id: str) -> DescribeError:
    """Say why there is no client: what boto3 says of a connection's extra, or of a role that it cannot take on."""
    from botocore import exceptions as boto

    from airflow_midjourney.describe.model.errors import SettingsError, StorageDeniedError, StorageUnavailableError
    from airflow_midjourney.describe.model.text import presentable

    what = f"{type(error).__name__}: {presentable(str(error))}"
    name = connection_name(aws_conn_id)
    if isinstance(error, boto.ClientError):
        return StorageDeniedError(
            f"AWS does not give connection {name!r} its role ({what}). Check role_arn in its extra."
        )
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return StorageUnavailableError(f"For connection {name!r} AWS could not be reached ({what}).", retry_helps=True)
    return SettingsError(
        f"Connection {name!r} gives no S3 client ({what}). In its extra, endpoint_url has to be an address such as"
        ' "https://minio.example.com:9000", and region_name one such as "eu-central-1".'
    )


def _connection(aws_conn_id: str) -> Connection:
    """Look an AWS connection up.

    :raises SettingsError: if there is none, or it names its server where Airflow does not look.
    """
    connection = _found(aws_conn_id)
    host, extra = connection.host or connection.extra_dejson.get("host"), connection.extra_dejson
    if host and ".amazonaws.com" not in str(host) and not (extra.get("endpoint_url") or extra.get("service_config")):
        from airflow_midjourney.describe.model.errors import SettingsError

        raise SettingsError(
            f"Connection {aws_conn_id!r} has a host, and Airflow would ask AWS all the same: put the address of the S3"
            ' server into its extra, as {"endpoint_url": "https://minio.example.com:9000"}, and leave the host empty.'
        )
    return connection


def _found(aws_conn_id: str) -> Connection:
    return find_connection(
        aws_conn_id,
        "Create it with type aws for the bucket with the images, or set"
        f" AIRFLOW_CONN_{aws_conn_id.upper()}; aws_conn_id=None takes what boto3 finds by itself, such as the machine's"
        " role.",
    )
