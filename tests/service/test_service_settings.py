"""Any usual form of a connection's host comes to one base URL; accounts are told apart by it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.service.settings import account_identity, normalise


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("api.example.com", "https://api.example.com/mj"),
        ("  api.example.com/ ", "https://api.example.com/mj"),
        ("https://api.example.com", "https://api.example.com/mj"),
        ("https://API.Example.com//", "https://api.example.com/mj"),
        ("api.example.com/mj", "https://api.example.com/mj"),
        ("https://api.example.com/mj/", "https://api.example.com/mj"),
        ("https://api.example.com/mj-fast/mj", "https://api.example.com/mj-fast/mj"),
        ("https://api.example.com/mj-fast", "https://api.example.com/mj-fast/mj"),
        ("api.example.com/mj-relax/", "https://api.example.com/mj-relax/mj"),
        ("api.example.com/mj-turbo/mj/submit/describe", "https://api.example.com/mj-turbo/mj"),
        ("http://api.example.com/mj/submit/describe", "http://api.example.com/mj"),
        ("https://api.example.com/mj/task/1/fetch", "https://api.example.com/mj"),
        ("https://api.example.com/gateway/one", "https://api.example.com/gateway/one/mj"),
        ("HTTPS://api.example.com:8443/mj", "https://api.example.com:8443/mj"),
        ("https://api.example.com:443/mj", "https://api.example.com/mj"),
        ("http://api.example.com:80", "http://api.example.com/mj"),
        ("localhost:8080", "http://localhost:8080/mj"),
        ("midjourney:8080/mj", "http://midjourney:8080/mj"),
        ("127.0.0.1", "http://127.0.0.1/mj"),
        ("10.0.0.7:8080/mj", "http://10.0.0.7:8080/mj"),
        ("localhost:443", "https://localhost/mj"),
        ("api.example.com:80", "http://api.example.com/mj"),
        ("::1", "http://[::1]/mj"),
        ("[::1]:8080/mj", "http://[::1]:8080/mj"),
        ("http://[2001:db8::1]", "http://[2001:db8::1]/mj"),
        ("//api.example.com/mj", "https://api.example.com/mj"),
        ("bücher.example", "https://xn--bcher-kva.example/mj"),
        ("HTTPS://API.EXAMPLE.COM/MJ/", "https://api.example.com/mj"),
        ("https://api.example.com/doc.html", "https://api.example.com/mj"),
        ("https://api.example.com/mj-fast/swagger-ui.html/x", "https://api.example.com/mj-fast/mj"),
        ("https://api.example.com/mj/doc.html", "https://api.example.com/mj"),
    ],
)
def test_usual_forms_of_a_host(host: str, base_url: str) -> None:
    assert normalise(host) == base_url
    assert normalise(base_url) == base_url


@pytest.mark.parametrize(
    ("host", "port", "schema", "base_url"),
    [
        ("localhost", 8080, None, "http://localhost:8080/mj"),
        ("api.example.com", 8443, "https", "https://api.example.com:8443/mj"),
        ("api.example.com", None, "HTTP", "http://api.example.com/mj"),
        ("api.example.com", None, "https://", "https://api.example.com/mj"),
        ("api.example.com", None, " https ", "https://api.example.com/mj"),
        ("api.example.com", 443, "https", "https://api.example.com/mj"),
        ("api.example.com", 443, None, "https://api.example.com/mj"),
        ("api.example.com", 80, None, "http://api.example.com/mj"),
        ("http://api.example.com:8080", 8080, "https", "http://api.example.com:8080/mj"),
        ("api.example.com", None, "mj", "https://api.example.com/mj"),
        ("api.example.com", 8080, "mj-fast/mj", "https://api.example.com:8080/mj-fast/mj"),
        ("api.example.com", 0, "", "https://api.example.com/mj"),
    ],
)
def test_port_and_schema_of_the_connection(host: str, port: int | None, schema: str | None, base_url: str) -> None:
    assert normalise(host, port=port, schema=schema) == base_url


@pytest.mark.parametrize(
    ("host", "port", "schema"),
    [
        ("", None, None),
        ("https://", None, None),
        ("/mj", None, "ftp"),
        ("ftp://api.example.com", None, None),
        ("https://user:hunter2@api.example.com/mj", None, None),
        ("hunter2@api.example.com", None, None),
        ("https://api.example.com/mj?key=hunter2", None, None),
        ("https://api.example.com/mj#hunter2", None, None),
        ("api.example.com hunter2", None, None),
        ("api.example.com:hunter2", None, None),
        ("https://api.example.com:8080", 9090, None),
        ("api.example.com", None, "hunter2"),
        ("api.example.com:99999", None, None),
        ("https:/api.example.com/hunter2", None, None),
        ("https//api.example.com", None, None),
        ("https://http://hunter2", None, None),
        ("'https://hunter2.example.com'", None, None),
    ],
)
def test_what_is_no_host_is_refused_without_quoting_it(host: str, port: int | None, schema: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        normalise(host, port=port, schema=schema)
    assert "hunter2" not in str(caught.value)
    assert "midjourney connection" in str(caught.value)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_base_url_or_a_settings_error(host: str) -> None:
    try:
        base_url = normalise(host)
    except SettingsError:
        return
    assert base_url.startswith(("http://", "https://"))
    assert base_url.endswith("/mj")
    assert normalise(base_url) == base_url


def test_an_account_is_the_same_for_every_speed() -> None:
    slow, fast = (
        account_identity(normalise(host), key="sk-1") for host in ("api.example.com", "api.example.com/mj-fast")
    )
    digest = hashlib.sha256(b"sk-1").hexdigest()
    assert slow == fast
    assert slow.startswith("https://api.example.com:443#")
    assert digest.startswith(slow.partition("#")[2])


@pytest.mark.parametrize(
    ("base_url", "key", "account", "identity"),
    [
        ("http://localhost:8080/mj", "", "", "http://localhost:8080#anonymous"),
        ("http://localhost/mj", "k", "studio", "http://localhost:80#studio"),
        ("https://[::1]/mj", "", "", "https://[::1]:443#anonymous"),
    ],
)
def test_account_identities(base_url: str, key: str, account: str, identity: str) -> None:
    assert account_identity(base_url, key=key, account=account) == identity


def test_accounts_differ_by_key_and_never_show_it() -> None:
    one, two = (account_identity("https://h.example/mj", key=key) for key in ("sk-one", "sk-two"))
    assert one != two
    assert "sk-one" not in one
