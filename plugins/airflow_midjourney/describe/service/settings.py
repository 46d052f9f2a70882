"""Where the service is: any usual form of a connection's host, made one."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx

from airflow_midjourney.describe.model.errors import SettingsError

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_USUAL_SCHEMES: Final = {80: "http", 443: "https"}

_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")

_WITH_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)

_ROOT: Final = "mj"

_DIGEST_LENGTH: Final = 16


def normalise(host: str, *, port: int | None = None, schema: str | None = None) -> str:
    """Make the base URL of the service, up to and including ``/mj``, without a trailing slash.

    A path before ``/mj`` (a speed such as ``/mj-fast``) is kept, one after it is dropped. Without a scheme it
    is the one of port 80 or 443, else ``http`` for an address and for a name without a dot, else ``https``.

    :param host: for instance ``api.example.com``, ``http://midjourney:8080/mj`` or
        ``https://api.example.com/mj-fast/mj/submit/describe``.
    :param port: the connection's own field for it.
    :param schema: the connection's own field for it: a scheme, or the path if the connection came from a URI.
    :raises SettingsError: if it is none of these, or holds a user, a password or a query; quotes none of it.
    """
    scheme, rest = _scheme_and_rest(host.strip())
    path_of_uri = ""
    schema = (schema or "").strip().removesuffix("://")
    if schema.lower() in _DEFAULT_PORTS:
        scheme = scheme or schema.lower()
    elif schema and schema.strip("/").split("/")[-1].startswith(_ROOT):
        path_of_uri = schema.strip("/")
    elif schema:
        raise SettingsError("the schema of the midjourney connection has to be http or https")
    url = _parsed(f"{rest.rstrip('/')}/{path_of_uri}" if path_of_uri else rest)
    chosen = _port(url, port)
    host = url.raw_host.decode("ascii")
    scheme = scheme or _USUAL_SCHEMES.get(chosen) or ("http" if _is_local(host) else "https")
    authority = _bracketed(host) if chosen in (0, _DEFAULT_PORTS[scheme]) else f"{_bracketed(host)}:{chosen}"
    return f"{scheme}://{authority}/{'/'.join(_path(url))}"


def account_identity(base_url: str, *, key: str, account: str = "") -> str:
    """Name the account whose slots and bill a service counts: the same for every speed and every path.

    :param base_url: as :func:`normalise` gives it.
    :param key: the API key; only a digest of it is used, and only if ``account`` is empty.
    :param account: the fixed name of the account, if it has one.
    :return: ``scheme://host:port#account``, the port always there.
    """
    url = httpx.URL(base_url)
    port = url.port or _DEFAULT_PORTS[url.scheme]
    if not account:
        account = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_LENGTH] if key else "anonymous"
    return f"{url.scheme}://{_bracketed(url.raw_host.decode('ascii'))}:{port}#{account}"


def host_of(identity: str) -> str:
    """Give the host of an account's identity: it stays the same where scheme, port, key or name change."""
    return httpx.URL(identity).host


def _scheme_and_rest(host: str) -> tuple[str, str]:
    match = _WITH_SCHEME.fullmatch(host)
    if match is None:
        return "", host.lstrip("/")
    scheme = match[1].lower()
    if scheme not in _DEFAULT_PORTS:
        raise SettingsError("the host of the midjourney connection has to begin with http:// or https://, or neither")
    return scheme, match[2]


def _parsed(rest: str) -> httpx.URL:
    """Read the part after the scheme, refusing what must not be in it."""
    if not rest.strip("/"):
        raise SettingsError("the midjourney connection needs a host")
    if re.search(r"[\s\x00-\x1f\x7f\\]", rest):
        raise SettingsError("the host of the midjourney connection holds a space or a character no URL has")
    if "@" in rest:
        raise SettingsError(
            "the host of the midjourney connection must hold no user or password; the key has its own field"
        )
    if "?" in rest or "#" in rest:
        raise SettingsError("the host of the midjourney connection must hold no query and no fragment")
    try:
        # A scheme without a default port: httpx would drop that of any other.
        url = httpx.URL(f"any://{_bracketed(rest)}")
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    host = url.raw_host.decode("ascii")
    if host in _DEFAULT_PORTS or not (_NAME.fullmatch(host) or _is_address(host)):
        raise SettingsError("the host of the midjourney connection cannot be read as a host or a URL")
    return url


def _port(url: httpx.URL, port: int | None) -> int:
    """Choose between the port in the URL and the field, which may repeat it; 0 for none."""
    if port and url.port and url.port != port:
        raise SettingsError("the port of the midjourney connection contradicts the one in its host")
    chosen = url.port or port or 0
    if not 0 <= chosen <= 65_535:
        raise SettingsError("the port of the midjourney connection is out of range")
    return chosen


def _path(url: httpx.URL) -> list[str]:
    segments = [segment for segment in url.raw_path.decode("ascii").split("/") if segment]
    # Copied from a browser: the page of the documentation, and what is below it.
    pages = (place for place, segment in enumerate(segments) if segment.lower().endswith(".html"))
    segments = segments[: next(pages, len(segments))]
    roots = (place for place, segment in enumerate(segments) if segment.lower() == _ROOT)
    return [*segments[: next(roots, len(segments))], _ROOT]


def _is_local(host: str) -> bool:
    return _is_address(host) or "." not in host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    """Put a bare IPv6 address into brackets; everything else stays as it is."""
    return f"[{host}]" if ":" in host and _is_address(host) else host


AuthMode = Literal["bearer", "secret", "token"]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How to reach the service.

    :param name: what messages call it: the connection id.
    :param base_url: scheme, host, port and path up to and including ``/mj``, as
        :func:`airflow_midjourney.describe.service.settings.normalise` gives it.
    :param key: the API key; empty where the service asks for none.
    :param auth: how the key is sent. ``bearer`` sends it both ways that gateways read it, ``secret`` only as
        ``mj-api-secret``, ``token`` only as a bare ``Authorization`` (trueai without a gateway).
    :param account: the fixed name of the account, so that its slots survive a new key.
    :param timeout: seconds that one request may take in all, from connecting to the last byte.
    :param verify: False to accept any TLS certificate, or the path of a CA bundle.
    :param notify_url: where the service may report changes; empty to poll only.
    """

    name: str
    base_url: str
    key: str = field(default="", repr=False)
    auth: AuthMode = "bearer"
    account: str = ""
    timeout: float = 60.0
    verify: bool | str = True
    notify_url: str = field(default="", repr=False)
