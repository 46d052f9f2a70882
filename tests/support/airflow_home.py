"""An Airflow of its own for this process: made before Airflow is imported, gone with the process."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]


def use_temporary_airflow() -> Path:
    """Point Airflow at a folder of this process; calling it again changes nothing.

    :return: the folder.
    :raises RuntimeError: if Airflow is imported already and reads another one.
    """
    home = os.environ.get("AIRFLOW_HOME", "")
    if Path(home).name.startswith("airflow-of-tests-") and home.endswith(f"-{os.getpid()}"):
        return Path(home)
    if "airflow" in sys.modules:
        raise RuntimeError("Airflow was imported before its tests could choose its folder.")
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="airflow-of-tests-", suffix=f"-{os.getpid()}"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= airflow_variables(folder, REPOSITORY / "dags", REPOSITORY / "plugins")
    return folder


def airflow_variables(home: Path, dags: Path, plugins: Path) -> dict[str, str]:
    """Give the environment of an Airflow that has these folders and knows nothing else."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
