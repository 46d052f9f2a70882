"""What boto3 raises, as the typed errors of the engine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageRejectedError,
    ObjectDeniedError,
    ObjectUnavailableError,
    SettingsError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.model.text import presentable
from airflow_midjourney.describe.storage.answer_roots import MalformedListingError, OtherAnswerError
from airflow_midjourney.describe.storage.redirects import RedirectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What boto3 lets through when a time, a size or another header of an answer is none.
_UNREADABLE: Final = (ValueError, KeyError, OverflowError)

#: Everything that a boto3 call, or the reading of the body it returned, raises by itself.
RAISED_BY_BOTO: Final = (
    boto.BotoCoreError,
    boto.ClientError,
    ResponseParserError,
    OtherAnswerError,
    MalformedListingError,
    RedirectedError,
    HTTPError,
    OSError,
    *_UNREADABLE,
)

#: The connection broke while the body was on its way, past what boto3 retries by itself.
BROKEN_STREAM: Final = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    HTTPError,
    OSError,
)

#: The server was reached, and failed at what it was asked for.
_BROKEN_ANSWER: Final = (
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    boto.ReadTimeoutError,
    boto.ResponseStreamingError,
)

_NO_CREDENTIALS: Final = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ProfileNotFound,
    boto.MetadataRetrievalError,
)

_WRONG_ARGUMENTS: Final = (
    boto.ParamValidationError,
    boto.ValidationError,
    boto.BaseEndpointResolverError,
    boto.EndpointProviderError,
    boto.InvalidEndpointConfigurationError,
)

_IMAGE_REASONS: Final = {
    "NoSuchKey": Reason.MISSING,
    "NotFound": Reason.MISSING,
    "404": Reason.MISSING,
    "PreconditionFailed": Reason.REPLACED,
    "412": Reason.REPLACED,
    "InvalidObjectState": Reason.ARCHIVED,
    "ObjectNotInActiveTierError": Reason.ARCHIVED,
}

#: The same of servers that have codes of their own.
_STATUS_OF_IMAGES: Final[dict[int | None, Reason]] = {404: Reason.MISSING, 410: Reason.MISSING, 412: Reason.REPLACED}

_IMAGE_MESSAGES: Final = {
    Reason.MISSING: "S3 has no object of this key any more.",
    Reason.REPLACED: "The object was replaced after it was listed; the new version gets its own row.",
    Reason.ARCHIVED: "The object is in an archive; restore it to read it.",
}

_NO_BUCKET: Final = frozenset({"NoSuchBucket", "InvalidBucketName"})

_BAD_CREDENTIALS: Final = frozenset(
    {
        "AccessKeyDisabled",
        "AccountDisabled",
        "AccountNotFound",
        "AccountProblem",
        "AccountSuspended",
        "AllAccessDisabled",
        "AuthFailure",
        "AuthenticationFailed",
        "AuthorizationQueryParametersError",
        "CredentialsNotSupported",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidKeyId",
        "InvalidSecurity",
        "InvalidSecurityToken",
        "InvalidToken",
        "InvalidTokenId",
        "MissingSecurityHeader",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
        "UserProjectAccountProblem",
        "UserSuspended",
    }
)

_TRY_LATER: Final = frozenset(
    {
        "KMS.KMSInternalException",
        "KMS.ThrottlingException",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)

#: Said with a status of success, too: botocore makes that 500.
_DENIALS: Final = frozenset({"AccessDenied", "Forbidden"})

#: The server fails at one thing, rather than having too much to do.
_FAILS_AT_IT: Final = frozenset({500, 502, 504})

#: What a store says of a key that it cannot look for.
_ABOUT_THE_KEY: Final = frozenset({"InvalidURI", "KeyTooLongError", "XMinioInvalidObjectName"})

_PROXY_WANTS_A_LOGIN: Final = 407

_LONGEST_QUOTE: Final = 120

_NOT_S3: Final = "Check the endpoint_url of the connection, and look into the log of what answers there."

_OTHER_REGION: Final = frozenset(
    {
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "InvalidRegion",
        "PermanentRedirect",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call was aimed at, for the messages.

    :param connection: the connection id.
    :param bucket: the bucket.
    :param key: the key of the object concerned, raw; None where the call is about the whole bucket.
    """

    connection: str
    bucket: str
    key: str | None = None

    @property
    def uri(self) -> str | None:
        """``s3://bucket/key``, or None where no object is concerned."""
        return None if self.key is None else f"s3://{self.bucket}/{self.key}"

    def __str__(self) -> str:
        # A key may hold line breaks and terminal codes: repr keeps them out of the logs.
        return repr(self.uri or f"s3://{self.bucket}")


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Raise what boto3 raises inside as a typed error.

    :param place: what the call is about.
    :raises ImageRejectedError: the object is missing, was replaced or is archived; only with a key.
    :raises SettingsError: boto3 refuses the bucket name, the key or the endpoint before any request.
    :raises ObjectDeniedError: S3 denies or refuses this object; only with a key.
    :raises ObjectUnavailableError: S3 fails at this object; only with a key.
    :raises StorageDeniedError: credentials, or permissions on the bucket.
    :raises StorageUnavailableError: a later attempt may succeed.
    :raises StorageError: anything else, such as a bucket that does not exist.
    """
    try:
        yield
    except RAISED_BY_BOTO as error:
        raise _translate(error, place) from error


def is_condition_failed(error: boto.ClientError) -> bool:
    """Tell whether S3 says that an object is not the version that was asked for."""
    answer: dict[str, Any] = dict(error.response)
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412 or str(
        answer.get("Error", {}).get("Code", "")
    ) in ("412", "PreconditionFailed")


def is_bare_404(error: BaseException | None) -> bool:
    """Tell whether an answer bears no word of S3 beside its 404, so that it may be of a server that knows no path."""
    return isinstance(error, boto.ClientError) and error.response.get("Error", {}).get("Code") in ("404", "", None)


def _translate(error: Exception, place: Place) -> DescribeError:
    if isinstance(error, boto.ClientError):
        return _translate_answer(error, place)
    kind = type(error).__name__
    if isinstance(error, _NO_CREDENTIALS):
        return _bad_credentials(kind, None, place)
    if isinstance(error, _WRONG_ARGUMENTS):
        message = f"boto3 does not accept this for {place} (connection {place.connection!r}): {error}"
        return SettingsError(message, image_uri=place.uri)
    if isinstance(error, boto.SSLError):
        message = (
            f"The TLS certificate of the S3 endpoint is not accepted (connection {place.connection!r}). "
            "Set `verify` of the connection to the CA bundle of that endpoint."
        )
        return StorageError(message, image_uri=place.uri)
    if isinstance(error, OtherAnswerError | MalformedListingError):
        return _no_listing(error, place)
    if isinstance(error, RedirectedError):
        return _redirected(error, place)
    if isinstance(error, BROKEN_STREAM):
        return _broken(error, place)
    if isinstance(error, ResponseParserError):
        message = (
            f"The answer for {place} is no whole XML (connection {place.connection!r}). If this lasts, check the"
            " endpoint_url of the connection, and any proxy before it."
        )
        return StorageUnavailableError(message, retry_helps=True, image_uri=place.uri)
    if isinstance(error, _UNREADABLE):
        return _unreadable(error, place)
    return StorageError(
        f"boto3 failed on {place} with {kind} (connection {place.connection!r}). Check the extra of that connection and"
        " the AWS settings of this host; the log holds the cause.",
        image_uri=place.uri,
    )


def _broken(error: Exception, place: Place) -> StorageUnavailableError:
    message = (
        f"S3 could not be reached for {place} ({type(error).__name__}, connection {place.connection!r}). "
        "If this lasts, check the endpoint_url of the connection and the network."
    )
    if isinstance(error, boto.IncompleteReadError):
        message = (
            f"For {place} came fewer bytes than it has, or a web page in their place (connection {place.connection!r})."
            " If this lasts, check the store, and any proxy before it."
        )
    one_object = place.key is not None and isinstance(error, _BROKEN_ANSWER)
    unavailable = ObjectUnavailableError if one_object else StorageUnavailableError
    return unavailable(message, retry_helps=True, image_uri=place.uri)


def _no_listing(error: OtherAnswerError | MalformedListingError, place: Place) -> StorageError:
    if isinstance(error, MalformedListingError):
        return StorageError(
            f"The listing of {place} cannot be read: it is no XML ({error.problem}), perhaps because of a key with a"
            f" control character. Rename that object, have the server of connection {place.connection!r} know"
            " encoding-type=url, or name the images with manifest= or keys=."
        )
    what = "answers with no XML, such as a web page,"
    if error.root:
        what = f"answers {error.root!r}" + (", a web page," if error.root.lower() == "html" else "")
    return StorageError(
        f"What stands at the endpoint_url of connection {place.connection!r} {what} where a listing of {place} was"
        " asked for, so nothing was listed. Check endpoint_url; a server that takes the bucket's name in the path only"
        ' also needs {"config_kwargs": {"s3": {"addressing_style": "path"}}} in the extra of the connection.'
    )


def _redirected(error: RedirectedError, place: Place) -> StorageError:
    to = f" to {error.target!r}" if error.target else ""
    return StorageError(
        f"What stands at the endpoint_url of connection {place.connection!r} redirects the request for {place}{to}"
        f" (HTTP {error.status}). No S3 client follows: set endpoint_url to the address of the S3 API itself, with https://"
        " where it wants that, and for AWS region_name to the bucket's region.",
        http_status=error.status,
        image_uri=place.uri,
    )


def _unreadable(error: Exception, place: Place) -> StorageError:
    failed = StorageError if place.key is None else ObjectDeniedError
    return failed(
        f"The answer for {place} holds a time, a size or a header that is none ({type(error).__name__}:"
        f" {presentable(str(error), limit=_LONGEST_QUOTE)}; connection {place.connection!r}). Look at the store, and at"
        " any proxy before it.",
        image_uri=place.uri,
    )


def _translate_answer(error: boto.ClientError, place: Place) -> DescribeError:
    # The answer of a server that is not AWS may lack any of these.
    answer: dict[str, Any] = dict(error.response)
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if place.key is not None and code in _IMAGE_REASONS:
        reason = _IMAGE_REASONS[code]
        return ImageRejectedError(reason, _IMAGE_MESSAGES[reason], image_uri=place.uri)
    if code in _NO_BUCKET or (status == 404 and place.key is None):
        return _no_bucket(place)
    if status in _STATUS_OF_IMAGES and place.key is not None:
        reason = _STATUS_OF_IMAGES[status]
        return ImageRejectedError(reason, _IMAGE_MESSAGES[reason], image_uri=place.uri)
    if code in _BAD_CREDENTIALS or status == 401:
        return _bad_credentials(code, status, place)
    if code in _OTHER_REGION or status in (301, 307, _PROXY_WANTS_A_LOGIN):
        return _other(code, status, place)
    if code in _TRY_LATER or (_is_passing(status) and code not in _DENIALS):
        return _not_now(code, status, place)
    if place.key is not None:
        return _object_denied(error, code, status, place)
    if code.startswith("KMS.") or status == 403 or code in _DENIALS:
        return _denied(error, code, status, place)
    return _other(code, status, place)


def _not_now(code: str, status: int | None, place: Place) -> StorageUnavailableError:
    one_object = place.key is not None and code not in _TRY_LATER and status in _FAILS_AT_IT
    unavailable = ObjectUnavailableError if one_object else StorageUnavailableError
    return unavailable(
        f"S3 is not able to answer for {place} now ({code}, HTTP {status}, "
        f"connection {place.connection!r}). Try again later.",
        retry_helps=True,
        http_status=status,
        code=code,
        image_uri=place.uri,
    )


def _is_passing(status: int | None) -> bool:
    # 501 says that this server will never know the call.
    return status is not None and (status in (408, 429) or (status >= 500 and status != 501))


def _no_bucket(place: Place) -> StorageError:
    return StorageError(
        f"The bucket {place.bucket!r} does not exist for connection {place.connection!r}. "
        "Check its name, and the endpoint_url and region_name of the connection.",
        code="NoSuchBucket",
        image_uri=place.uri,
    )


def _bad_credentials(code: str, status: int | None, place: Place) -> StorageDeniedError:
    return StorageDeniedError(
        f"S3 does not accept the credentials of connection {place.connection!r} ({code}). "
        "Check its key pair or role, whether they have expired, and the clock of this host.",
        http_status=status,
        code=code,
        image_uri=place.uri,
    )


def _denied(error: boto.ClientError, code: str, status: int | None, place: Place) -> StorageDeniedError:
    cure = _cure(error, code, status, place)
    return StorageDeniedError(
        f"S3 denies access to {place} with connection {place.connection!r} ({code}). {cure}",
        http_status=status,
        code=code,
    )


def _object_denied(error: boto.ClientError, code: str, status: int | None, place: Place) -> ObjectDeniedError:
    if code.startswith("KMS.") or status == 403 or code in _DENIALS:
        what = f"S3 denies access to {place} with connection {place.connection!r} ({code}). "
    else:
        what = f"S3 refuses to give {place} with connection {place.connection!r} ({code}, HTTP {status}). "
        if code in _ABOUT_THE_KEY:
            what += "This store does not take such a key: copy the object to a plainer one. "
    return ObjectDeniedError(
        what + _cure(error, code, status, place),
        http_status=status,
        code=code,
        image_uri=place.uri,
    )


def _cure(error: boto.ClientError, code: str, status: int | None, place: Place) -> str:
    words = str(error).lower()
    if code.startswith("KMS.") or "kms:" in words:
        return "The object is encrypted with a KMS key that these credentials may not use: grant kms:Decrypt."
    if "encryption" in words:
        return (
            "It is encrypted with a key of its owner (SSE-C), which cannot be given: store it with SSE-S3 or SSE-KMS."
        )
    if "cap exceeded" in words or "quota" in words:
        return "What the account of the store may read is used up: raise its cap, or wait until it begins anew."
    if not code:
        return "The answer bears no code of S3: it may come from a firewall or a proxy before the store. " + _NOT_S3
    if status not in (403, 404) and code not in _DENIALS and not code.startswith("KMS."):
        return _NOT_S3
    if place.key is None:
        return "Grant s3:ListBucket on the bucket; a requester-pays bucket also needs requester_pays."
    return (
        "Grant s3:GetObject on it; a requester-pays bucket also needs requester_pays. "
        "Without s3:ListBucket, S3 says this of objects that do not exist, too."
    )


def _other(code: str, status: int | None, place: Place) -> StorageError:
    if code in _OTHER_REGION or status == 301:
        cure = "The bucket lies in another region: set region_name in the extra of the connection."
    else:
        cure = f"Another attempt will not change that. {_NOT_S3}"
    return StorageError(
        f"S3 refuses this for {place} ({code}, HTTP {status}, connection {place.connection!r}). {cure}",
        http_status=status,
        code=code,
        image_uri=place.uri,
    )
