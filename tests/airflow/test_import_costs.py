"""What reading a DAG costs, and that the engine knows nothing of Airflow."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINE = REPOSITORY / "plugins" / "airflow_midjourney" / "describe"

READ = {
    "the operator": "import airflow_midjourney.operators.describe",
    "the sensor": "import airflow_midjourney.sensors.describe",
    "the export": "import airflow_midjourney.operators.export",
    "the import": "import airflow_midjourney.operators.import_reviews",
    "the DAG that imports": "import runpy; runpy.run_path('dags/import_reviews.py')",
    "the purge": "import airflow_midjourney.operators.purge",
    "the reparse": "import airflow_midjourney.operators.reparse",
    "the notebook function": "from airflow_midjourney import read_prompts",
    "the DAG that exports": "import runpy; runpy.run_path('dags/describe_then_export.py')",
    "the trigger": "import airflow_midjourney.triggers.describe",
    "the plugin": "import airflow_midjourney.plugin",
    "the provider": "import airflow_midjourney.provider",
    "the example DAG": "import runpy; runpy.run_path('dags/describe_images.py')",
    "the DAG by manifest": "import runpy; runpy.run_path('dags/describe_manifest.py')",
    "the DAG by asset": "import runpy; runpy.run_path('dags/describe_on_arrival.py')",
    "the DAG for doubts": "import runpy; runpy.run_path('dags/midjourney_resolve.py')",
    "the group of both tasks": "import airflow_midjourney.operators.describe_group",
    "the DAG of functions": "import runpy; runpy.run_path('dags/describe_taskflow.py')",
    "the DAG by folder": "import runpy; runpy.run_path('dags/describe_folders.py')",
    "the DAG by partition": "import runpy; runpy.run_path('dags/describe_partitions.py')",
    "the DAG that pauses": "import runpy; runpy.run_path('dags/midjourney_pause.py')",
}

#: Reads each in a child of a process that has loaded what any DAG file loads, and tells what it loaded beside that.
SHOW_LOADED = """
import json, os, runpy, sys
statements = json.loads(sys.argv[1])
import airflow.sdk, airflow.sdk.bases.sensor, airflow.triggers.base, airflow.plugins_manager, asyncio
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, BaseHook, CronDataIntervalTimetable, Param, conf
DAG('d', schedule=CronDataIntervalTimetable('@daily', timezone='UTC'), params={'a': Param(1)})
# Airflow's own decorator loads its standard provider.
import airflow.providers.standard.decorators.python, airflow.providers.standard.operators.empty
before = set(sys.modules)
for name, statement in statements.items():
    sys.stdout.flush()
    if os.fork() == 0:
        exec(statement)
        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0, name
"""

HEAVY = ("boto3", "botocore", "PIL", "httpx", "tenacity", "sqlalchemy", "airflow.providers", "psycopg2", "numpy")
HEAVY += ("pyarrow", "pandas")

OURS = "airflow_midjourney"


ENGINE_OF_A_DAG = (
    "._version .describe .describe.model .describe.model.batch .describe.model.errors .describe.model.status"
)
ARGUMENTS = ".arguments .describe.model.text .describe.storage .describe.storage.address .describe.storage.keys"
HOOKS = ".hooks .hooks.image_prompts .hooks.images .hooks.lookup .hooks.midjourney"
DESCRIBING = (
    f" {ARGUMENTS} .runs .runtime {ENGINE_OF_A_DAG} {HOOKS} .links .observability .observability.asset_events"
    " .operators .operators.describe .operators.scope .sensors .sensors.describe .settings"
)

#: What is loaded of this package by what the dag-processor, the scheduler and the api-server read.
LOADED = {
    "dags/describe_images.py": DESCRIBING,
    "dags/describe_manifest.py": DESCRIBING,
    "dags/describe_on_arrival.py": f"{DESCRIBING} .arrivals",
    "dags/describe_taskflow.py": f"{DESCRIBING} .operators.describe_group",
    "dags/describe_folders.py": f"{DESCRIBING} .operators.describe_group",
    "dags/describe_partitions.py": f"{DESCRIBING} .operators.describe_group",
    "dags/midjourney_resolve.py": f" {ARGUMENTS} .runs .runtime {ENGINE_OF_A_DAG} {HOOKS} .links .operators"
    " .operators.resolve .operators.scope .settings",
    "dags/midjourney_pause.py": f" ._version .describe .describe.model .describe.model.errors {HOOKS} .operators"
    " .operators.pause .runs .runtime .settings",
    "plugins/airflow_midjourney/plugin.py": f" {ENGINE_OF_A_DAG} .links",
}


def run_python(code: str, *arguments: str, home: str = "/nonexistent/read-only") -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=REPOSITORY,
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY / "plugins"), "AIRFLOW_HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def engine_files() -> Iterator[Path]:
    yield from sorted(ENGINE.rglob("*.py"))


def loaded_by(statements: dict[str, str], home: Path) -> dict[str, list[str]]:
    """Give the modules that each statement loads."""
    told = run_python(SHOW_LOADED, json.dumps(statements), home=str(home))
    return dict(json.loads(line) for line in told.splitlines())


def test_reading_it_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = loaded_by(READ, tmp_path)

    heavy = {name: [one for one in modules if one.startswith(HEAVY)] for name, modules in loaded.items()}
    assert heavy == {name: [] for name in READ}
    assert all(any(one.startswith(OURS) for one in modules) for modules in loaded.values())


def test_reading_it_loads_these_modules_of_ours_and_no_others(tmp_path: Path) -> None:
    loaded = loaded_by({file: f"runpy.run_path({file!r})" for file in LOADED}, tmp_path)

    ours = {
        file: " ".join(one.removeprefix(OURS) for one in modules if one.startswith(OURS))
        for file, modules in loaded.items()
    }
    assert {file: set(modules.split()) for file, modules in ours.items()} == {
        file: set(modules.split()) for file, modules in LOADED.items()
    }


@pytest.mark.parametrize("path", list(engine_files()), ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_imports_nothing_from_airflow(path: Path) -> None:
    imported = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append(node.module or "")
    ours = [name for name in imported if name.startswith("airflow_midjourney.")]
    outside = [name for name in ours if ".describe" not in name and name != "airflow_midjourney._version"]

    assert [name for name in imported if name == "airflow" or name.startswith("airflow.")] == []
    assert outside == []


def test_the_whole_engine_loads_where_there_is_no_airflow() -> None:
    modules = [
        ".".join(path.relative_to(REPOSITORY / "plugins").with_suffix("").parts).removesuffix(".__init__")
        for path in engine_files()
        if path.name != "__main__.py"
    ]
    code = f"import sys, importlib\nsys.modules['airflow'] = None\n[importlib.import_module(m) for m in {modules}]"

    assert run_python(f"{code}\nprint(len([m for m in sys.modules if m.startswith('airflow.')]))") == "0"
