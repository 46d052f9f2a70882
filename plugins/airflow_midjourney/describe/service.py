"""What is known about the describe service before the first request: where it is and how to speak to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

AuthMode = Literal["bearer", "secret", "token"]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How to reach the service.

    :param name: what messages call it: the connection id.
    :param base_url: scheme, host, port and path up to and including ``/mj``, as
        :func:`airflow_midjourney.describe.endpoint.normalise` gives it.
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
