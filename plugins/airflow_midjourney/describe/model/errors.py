"""The typed errors of the engine: what happened, and whether another attempt helps.

A message names the connection (or the argument) and the cure, and never holds a key, image bytes or a whole
response body.
"""

from __future__ import annotations


class DescribeError(Exception):
    """Anything that ends a run early.

    :param message: what happened and what to do about it, in one or two sentences.
    :param retry_helps: True when the same call may succeed later without anybody changing anything.
    :param http_status: the HTTP status, where one was received.
    :param code: the ``code`` of the service's answer, or the error code of S3.
    :param task_id: the remote task concerned.
    :param image_uri: the image concerned, as ``s3://bucket/key``.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_helps: bool = False,
        http_status: int | None = None,
        code: int | str | None = None,
        task_id: str | None = None,
        image_uri: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_helps = retry_helps
        self.http_status = http_status
        self.code = code
        self.task_id = task_id
        self.image_uri = image_uri


class SettingsError(DescribeError):
    """A connection, a setting or an argument is missing, malformed or contradicts another."""


class ManifestError(SettingsError):
    """The manifest that names a batch's images cannot be read. The next try lists it from the beginning."""


class ServiceError(DescribeError):
    """The describe service did not do what was asked."""


class ServiceDeniedError(ServiceError):
    """The service does not let this key do this: 401, 403, no credit. Someone has to act."""


class ServiceUnavailableError(ServiceError):
    """The service cannot be reached or cannot work now. Later attempts may succeed."""


class ServiceProtocolError(ServiceError):
    """The service answered with something that none of the known dialects says."""


class StorageError(DescribeError):
    """S3 did not do what was asked, for a reason that is not one image's."""


class StorageDeniedError(StorageError):
    """S3 refuses access to the bucket, its objects or their encryption key. Someone has to act."""


class StorageUnavailableError(StorageError):
    """S3 cannot be reached or is throttling beyond the client's own retries."""


class ObjectDeniedError(StorageDeniedError):
    """S3 denies or refuses this one object, and may well give the others."""


class ObjectUnavailableError(StorageUnavailableError):
    """S3 answers, and fails at this one object."""


class TableError(DescribeError):
    """The metadata table cannot be used."""


class NoTablesError(TableError):
    """There are no tables yet: nothing has been described with this database."""


class TableConflictError(TableError):
    """Another process was first: what it did is in the table now."""


class BatchError(DescribeError):
    """The batch cannot go on, or ended worse than was allowed."""


class ImageRejectedError(DescribeError):
    """This one image cannot be sent. The run goes on; its row says why.

    :param reason: one of the ``rejected`` values of :class:`~airflow_midjourney.describe.model.status.Reason`.
    """

    def __init__(self, reason: str, message: str, *, image_uri: str | None = None) -> None:
        super().__init__(message, image_uri=image_uri)
        self.reason = reason


class ImageUndescribedError(DescribeError):
    """This one image has ended without prompts; its row says why. Asking again pays for nothing.

    :param status: ``failed``, ``rejected`` or ``in_doubt``.
    :param reason: one of the values of :class:`~airflow_midjourney.describe.model.status.Reason`, where there is one.
    """

    def __init__(self, status: str, reason: str | None, message: str, *, image_uri: str) -> None:
        super().__init__(message, image_uri=image_uri)
        self.status = status
        self.reason = reason


class ImageUnfinishedError(DescribeError):
    """This one image has no prompts yet. Asking again goes on with it, and pays for it once.

    :param status: ``pending``, ``submitting`` or ``submitted``.
    """

    def __init__(self, status: str, message: str, *, image_uri: str) -> None:
        super().__init__(message, image_uri=image_uri, retry_helps=True)
        self.status = status
