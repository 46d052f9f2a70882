"""The connection to the S3 buckets that hold the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_midjourney.describe.errors import SettingsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.images import ImageStore

#: Connections kept open: images are read side by side.
_POOL: Final = 16


def open_images(aws_conn_id: str, *, request_payer: bool, allowed_uris: tuple[str, ...]) -> ImageStore:
    """Open S3 through an AWS connection: role, region and endpoint come from there.

    :param aws_conn_id: the connection id; empty for what boto3 finds by itself, such as the machine's role.
    :param request_payer: True to pay for requests to requester-pays buckets.
    :param allowed_uris: patterns over ``s3://bucket/key`` outside of which nothing is read; empty for no bounds.
    :raises SettingsError: if there is no such connection.
    """
    from airflow_midjourney.describe.images import ImageStore

    return ImageStore(
        open_s3(aws_conn_id),
        name=connection_name(aws_conn_id),
        request_payer=request_payer,
        allowed_uris=allowed_uris,
    )


def open_s3(aws_conn_id: str) -> S3Client:
    """Make a patient S3 client from an AWS connection.

    :param aws_conn_id: the connection id; empty for what boto3 finds by itself, such as the machine's role.
    :raises SettingsError: if there is no such connection.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    _check_connection(aws_conn_id)
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=_POOL,
    )
    client: S3Client = S3Hook(aws_conn_id=aws_conn_id or None, config=config).get_conn()
    return client


def connection_name(aws_conn_id: str) -> str:
    """Say what messages call an AWS connection."""
    return aws_conn_id or "none, boto3's own"


def _check_connection(aws_conn_id: str) -> None:
    """Refuse a connection that is not there: the hook would go on as whoever boto3 finds on this machine.

    :raises SettingsError: if it is missing.
    """
    if not aws_conn_id:
        return
    try:
        BaseHook.get_connection(aws_conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"There is no connection {aws_conn_id!r}. Create it with type aws for the bucket with the images, or set"
            f" AIRFLOW_CONN_{aws_conn_id.upper()}; aws_conn_id=None takes what boto3 finds by itself, such as the"
            " machine's role."
        ) from None
