"""The connection to a midjourney-proxy-compatible service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_midjourney.hooks.lookup import find_connection
from airflow_midjourney.settings import read_settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.service.client import MidjourneyClient
    from airflow_midjourney.describe.service.settings import ServiceSettings
    from airflow_midjourney.hooks.connection_extra import ConnectionExtra


class MidjourneyHook(BaseHook):
    """Read a ``midjourney`` connection: host, password (the API key) and the extras.

    :param mj_conn_id: the connection id.
    """

    conn_name_attr = "mj_conn_id"
    default_conn_name = "midjourney_default"
    conn_type = "midjourney"
    hook_name = "Midjourney (describe)"

    def __init__(self, mj_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mj_conn_id = mj_conn_id
        self._found: Connection | None = None

    def connection(self) -> Connection:
        """Give the Airflow connection; it is looked up once.

        :raises SettingsError: if there is none.
        :raises ConnectionUnansweredError: if Airflow could not say.
        """
        self._found = self._found or find_connection(
            self.mj_conn_id,
            "Create it with type midjourney, the address of the service as host and the API key as password, or set"
            f" AIRFLOW_CONN_{self.mj_conn_id.upper()}.",
        )
        return self._found

    def exists(self) -> bool:
        """Say whether Airflow knows the connection."""
        from airflow_midjourney.describe.model.errors import SettingsError

        try:
            self.connection()
        except SettingsError:
            return False
        return True

    def extra(self) -> ConnectionExtra:
        """Give the extras, checked.

        :raises SettingsError: if the connection is missing, or an extra is unknown or makes no sense.
        """
        from airflow_midjourney.hooks.connection_extra import read_extra

        return read_extra(self.connection().extra_dejson, self.mj_conn_id)

    def service(self) -> ServiceSettings:
        """Give where the service is and how to speak to it.

        :raises SettingsError: if the connection is missing or its host or an extra makes no sense.
        """
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.describe.service.settings import ServiceSettings, normalise

        connection, extra = self.connection(), self.extra()
        if not connection.host:
            raise SettingsError(f"Connection {self.mj_conn_id!r} has no host: put the address of the service there.")
        key = (connection.password or "").strip()
        if connection.login and not key:
            raise SettingsError(
                f"Connection {self.mj_conn_id!r} has a login and no password: the API key belongs into the password."
            )
        try:
            base_url = normalise(connection.host, port=connection.port, schema=connection.schema)
        except SettingsError as error:
            raise SettingsError(f"Connection {self.mj_conn_id!r}: {error}") from None
        self._asks_for_callbacks()
        return ServiceSettings(
            name=self.mj_conn_id,
            base_url=base_url,
            key=key,
            auth=extra.auth,
            account=extra.account,
            timeout=extra.timeout,
            verify=extra.verify,
            notify_url=extra.callback_url,
        )

    def account(self) -> AccountSettings:
        """Give what the account may do.

        :raises SettingsError: as :meth:`service`.
        """
        from airflow_midjourney.describe.model.account import AccountSettings
        from airflow_midjourney.describe.service.settings import account_identity

        service, extra = self.service(), self.extra()
        return AccountSettings(
            identity=account_identity(service.base_url, key=service.key, account=service.account),
            max_in_flight=extra.max_in_flight,
            price=extra.price,
            currency=extra.currency,
            max_submissions_per_day=extra.max_submissions_per_day,
            max_cost_per_day=extra.max_cost_per_day,
            submit_deadline=extra.timeout,
            task_timeout=extra.task_timeout,
            refunds_failures=extra.refunds_failures,
            submit_window=extra.submit_window,
            poll_interval=read_settings().poll_interval,
            callbacks=self._asks_for_callbacks(),
        )

    def _asks_for_callbacks(self) -> bool:
        """Say whether each submission asks for callbacks to our receiver.

        :raises SettingsError: if it should, and the extra ``callback_url`` is no address.
        """
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.describe.service.callback_url import check_callback_url

        address = self.extra().callback_url
        if not address or not read_settings().callbacks:
            return False
        try:
            check_callback_url(address)
        except SettingsError as error:
            raise SettingsError(f"Connection {self.mj_conn_id!r}: {error}") from None
        return True

    def get_conn(self) -> MidjourneyClient:
        """Give a client; open it with ``async with``."""
        from airflow_midjourney.describe.service.client import MidjourneyClient

        return MidjourneyClient(self.service())

    def describe_image(
        self,
        image_uri: str,
        *,
        bot_type: str = "MID_JOURNEY",
        timeout: float = 600.0,
        redescribe: str | None = None,
        strip_metadata: bool = True,
        requester_pays: bool = False,
        aws_conn_id: str | None = "aws_default",
        db_conn_id: str = "image_prompts_db",
    ) -> tuple[str, ...]:
        """Describe one image and wait for its prompts: for a notebook, or a function with ``@task``.

        It goes through the metadata table, as a batch of one key, and leaves a row. So an image that has its prompts
        is not paid for again, whichever task or notebook described it, and a call that is broken off (an interrupt, a
        kernel that dies) is taken up by the next one. Account, caps and ``allowed_uris`` hold as for the operator. For
        more than a few images, use the operator: it submits side by side and frees its worker.

        It may be called where an event loop is running, and blocks until the answer is there. Airflow's collector of
        hook lineage is told the folder of the image and the metadata table.

        :param image_uri: ``s3://bucket/key``, the key as it is. Images that are elsewhere have to go to S3 first: what
            has no row could be paid for twice.
        :param bot_type: ``MID_JOURNEY`` or ``NIJI_JOURNEY``.
        :param timeout: seconds after which it gives up waiting; an answer that comes later is found by the next call.
        :param redescribe: describe it again, and pay again, if it ``failed``, if it is ``in_doubt``, if it was
            ``erased``, or whatever became of it (``all``). In a task this is done once for each run, however often it
            is tried, cleared or calls; elsewhere by each call, but for one that goes on with a call which has not come
            to its end. None to describe nothing again.
        :param strip_metadata: False to send EXIF, GPS and the like along.
        :param requester_pays: True to pay for requests to a requester-pays bucket.
        :param aws_conn_id: connection for S3; None for what boto3 finds by itself.
        :param db_conn_id: connection of the database with the metadata table.
        :return: the prompts: four, or fewer where the service gave fewer.
        :raises ImageUndescribedError: if the image failed, cannot be sent, or is in doubt; a repeated call says so
            again and pays for nothing.
        :raises ImageUnfinishedError: if the prompts are not there in time, or a cap is reached; call again.
        :raises DescribeError: if a connection is missing, S3, the database or the service cannot be used, or an
            argument makes no sense.
        """
        from airflow_midjourney.one_image import OneImage

        image = OneImage.at(
            image_uri,
            bot_type=bot_type,
            strip_metadata=strip_metadata,
            requester_pays=requester_pays,
            redescribe=redescribe,
            mj_conn_id=self.mj_conn_id,
            aws_conn_id=aws_conn_id,
            db_conn_id=db_conn_id,
        )
        prompts = image.describe(timeout, self.log.info)
        image.tell_lineage(self)
        return prompts

    def test_connection(self) -> tuple[bool, str]:
        """Prove with free reads that the key may read, and that the metadata database can be used.

        Runs in the API server or on a worker; nothing is submitted or created.

        :return: whether it may be used, and in words what is wrong and what to do.
        """
        from airflow_midjourney.describe.model.errors import DescribeError
        from airflow_midjourney.hooks.image_prompts import look_at_metadata

        try:
            asyncio.run(self._read())
        except DescribeError as error:
            return False, self._named_for_the_button(str(error))
        reads = "The service answers and lets this key read. Whether it may submit shows with the first image."
        usable, metadata = look_at_metadata()
        return usable, f"{reads} {metadata}"

    async def _read(self) -> None:
        async with self.get_conn() as client:
            await client.check_access()

    def _named_for_the_button(self, message: str) -> str:
        """Leave the id out: Airflow tests a copy of the connection, whose id it has made up."""
        return message.replace(f"Connection {self.mj_conn_id!r}", "This connection")
