from __future__ import annotations

import boto3
import pytest

from airflow_midjourney.describe.model.errors import (
    ImageRejectedError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.stubbed_s3 import Stubbed, connect, listed


def test_unreachable_endpoint_is_unavailable() -> None:
    store = ImageStore(connect("http://127.0.0.1:1"), name="aws_photos")
    with pytest.raises(StorageUnavailableError, match="aws_photos") as caught:
        store.list_page("photos", "", suffixes=None)
    assert caught.value.retry_helps


@pytest.mark.parametrize(
    ("code", "status", "cure"),
    [
        ("AccessDenied", 403, "s3:GetObject"),
        ("403", 403, "s3:GetObject"),
        ("KMS.DisabledException", 400, "kms:Decrypt"),
        ("InvalidAccessKeyId", 403, "credentials"),
        ("SignatureDoesNotMatch", 403, "credentials"),
        ("ExpiredToken", 400, "credentials"),
        ("AuthFailure", 403, "credentials"),
        ("InvalidTokenId", 403, "credentials"),
        ("RequestExpired", 400, "credentials"),
        ("ExpiredTokenException", 400, "credentials"),
        ("AccountSuspended", 403, "credentials"),
        ("InvalidIdentityToken", 400, "credentials"),
        ("UserProjectAccountProblem", 403, "credentials"),
        ("InvalidURI", 400, "a plainer one"),
        ("XMinioInvalidObjectName", 400, "a plainer one"),
    ],
)
def test_denied_reads_name_connection_and_cure(code: str, status: int, cure: str) -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("get_object", code, "AWSAccessKeyId AKIAEXAMPLE", http_status_code=status)
    with pytest.raises(StorageDeniedError, match=cure) as caught:
        stubbed.store.read(listed())
    assert "aws_photos" in str(caught.value)
    assert "AKIAEXAMPLE" not in str(caught.value)
    assert not caught.value.retry_helps
    assert (caught.value.code, caught.value.http_status) == (code, status)


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("410", 410, Reason.MISSING),
        ("Gone", 410, Reason.MISSING),
        ("NoSuchVersion", 404, Reason.MISSING),
        ("InvalidObjectState", 400, Reason.ARCHIVED),
        ("ObjectNotInActiveTierError", 403, Reason.ARCHIVED),
    ],
)
def test_what_became_of_an_object_is_read_from_the_words_of_other_stores(
    code: str, status: int, reason: Reason
) -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(ImageRejectedError) as caught:
        stubbed.store.read(listed())
    assert caught.value.reason is reason


@pytest.mark.parametrize("words", ["Cannot download file, download bandwidth cap exceeded", "Quota exhausted"])
def test_a_cap_of_the_store_is_no_missing_grant(words: str) -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("get_object", "AccessDenied", words, http_status_code=403)
    with pytest.raises(StorageDeniedError, match="raise its cap"):
        stubbed.store.read(listed())


def test_kms_denial_hidden_in_an_access_denial_is_told_apart() -> None:
    stubbed = Stubbed()
    text = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on this resource"
    stubbed.answers.add_client_error("get_object", "AccessDenied", text, http_status_code=403)
    with pytest.raises(StorageDeniedError, match=r"grant kms:Decrypt"):
        stubbed.store.read(listed())


def test_denied_listing_names_the_permission() -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)
    with pytest.raises(StorageDeniedError, match="s3:ListBucket"):
        stubbed.store.list_page("photos", "", suffixes=None)


def test_no_credentials_are_a_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    client = boto3.session.Session().client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StorageDeniedError, match="aws_photos"):
        ImageStore(client, name="aws_photos").list_page("photos", "", suffixes=None)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503),
        ("InternalError", 500),
        ("", 502),
        ("RequestTimeout", 400),
        ("", 408),
        ("TooManyRequests", 429),
    ],
)
def test_passing_trouble_is_unavailable(code: str, status: int) -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(StorageUnavailableError) as caught:
        stubbed.store.read(listed())
    assert caught.value.retry_helps


@pytest.mark.parametrize(
    ("code", "status", "cure"),
    [
        ("PermanentRedirect", 301, "region_name"),
        ("InvalidRegion", 400, "region_name"),
        ("NotImplemented", 501, "Another attempt will not"),
    ],
)
def test_other_refusals_do_not_pass(code: str, status: int, cure: str) -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("list_objects_v2", code, http_status_code=status)
    with pytest.raises(StorageError, match=cure) as caught:
        stubbed.store.list_page("photos", "", suffixes=None)
    assert type(caught.value) is StorageError
    assert not caught.value.retry_helps


def test_keys_cannot_break_out_of_messages() -> None:
    stubbed = Stubbed()
    stubbed.answers.add_client_error("get_object", "AccessDenied", http_status_code=403)
    with pytest.raises(StorageDeniedError) as caught:
        stubbed.store.read(listed(key="a\n[2024-01-01] INFO - all fine\x1b[2J.jpg"))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
