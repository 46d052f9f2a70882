"""The Airflow plugin. Light: every Airflow process loads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from airflow.plugins_manager import AirflowPlugin

_PACKAGE: Final = "airflow_midjourney"


def refuse_a_second_copy(this_file: str = __file__) -> None:
    """Refuse to load beside an installed package: two copies would answer to one name.

    :raises RuntimeError: if the package that Python finds is not the one this file belongs to.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return
    here, there = Path(this_file).resolve().parent, Path(found.origin).resolve().parent
    if here != there:
        raise RuntimeError(
            f"airflow-provider-midjourney is there twice: in the plugins folder ({here}) and installed ({there})."
            " Airflow uses the installed one. Remove the folder, or uninstall the package."
        )


refuse_a_second_copy()


class MidjourneyPlugin(AirflowPlugin):
    """Registers what this provider adds to Airflow beside operators and connections."""

    name = "airflow_midjourney"
