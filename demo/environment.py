"""The environment in which the demo's processes run: nothing of the user's accounts, settings or proxies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCAL: Final = "127.0.0.1,localhost"


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the proxies of an environment, for a service on the other side of them; this machine is reached without."""
    kept = {name: value for name, value in environment.items() if name.upper().endswith("_PROXY")}
    around = ",".join(filter(None, (environment.get("NO_PROXY") or environment.get("no_proxy"), _LOCAL)))
    return kept | {"NO_PROXY": around, "no_proxy": around}


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Copy an environment without Airflow's and AWS's variables and without proxies."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AIRFLOW", "AWS_", "_AIRFLOW", "MIDJOURNEY")) and not name.upper().endswith("_PROXY")
    }
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOCAL,
        "no_proxy": _LOCAL,
        "PYTHONUNBUFFERED": "1",
    }
