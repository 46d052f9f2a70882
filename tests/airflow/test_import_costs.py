"""What reading a DAG costs, and that the engine knows nothing of Airflow."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINE = REPOSITORY / "plugins" / "airflow_midjourney" / "describe"

BASELINE = "import airflow.sdk, airflow.sdk.bases.sensor, airflow.triggers.base, airflow.plugins_manager, asyncio\n"

READ = {
    "the operator": "import airflow_midjourney.operators.describe",
    "the sensor": "import airflow_midjourney.sensors.describe",
    "the export": "import airflow_midjourney.operators.export",
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
}

SHOW_HEAVY = """
import sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, BaseHook, CronDataIntervalTimetable, Param, conf
DAG('d', schedule=CronDataIntervalTimetable('@daily', timezone='UTC'), params={'a': Param(1)})
# Airflow's own decorator loads its standard provider.
import airflow.providers.standard.decorators.python, airflow.providers.standard.operators.empty
before = set(sys.modules)
%s
heavy = ('boto3', 'botocore', 'PIL', 'httpx', 'tenacity', 'sqlalchemy', 'airflow.providers', 'psycopg2', 'numpy')
heavy += ('pyarrow', 'pandas')
print(*sorted(name for name in set(sys.modules) - before if name.startswith(heavy)))
"""


ENGINE_OF_A_DAG = ".describe .describe.errors .describe.scope .describe.status"
HOOKS = ".hooks .hooks.image_prompts .hooks.images .hooks.midjourney"
DESCRIBING = (
    f" .arguments .crews {ENGINE_OF_A_DAG} {HOOKS} .links .operators .operators.describe .operators.scope .outlets"
    " .sensors .sensors.describe .settings .web .web.addresses"
)

#: What is loaded of this package by what the dag-processor, the scheduler and the api-server read.
LOADED = {
    "dags/describe_images.py": DESCRIBING,
    "dags/describe_manifest.py": DESCRIBING,
    "dags/describe_on_arrival.py": DESCRIBING.replace(".arguments", ".arguments .arrivals"),
    "dags/midjourney_resolve.py": f" .arguments .crews {ENGINE_OF_A_DAG} {HOOKS} .operators .operators.resolve"
    " .operators.scope .settings",
    "plugins/airflow_midjourney/plugin.py": f" {ENGINE_OF_A_DAG} .links .web .web.addresses",
}

SHOW_OURS = """
import runpy, sys
from airflow.sdk import DAG
runpy.run_path(%r)
name = 'airflow_midjourney'
print(*sorted(module.removeprefix(name) for module in sys.modules if module.startswith(name)))
"""


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY / "plugins"), "AIRFLOW_HOME": "/nonexistent/read-only"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def engine_files() -> Iterator[Path]:
    yield from sorted(ENGINE.rglob("*.py"))


@pytest.mark.parametrize("statement", READ.values(), ids=READ)
def test_reading_it_loads_nothing_heavy(statement: str, tmp_path: Path) -> None:
    code = (BASELINE + SHOW_HEAVY % statement).replace("/nonexistent", str(tmp_path))

    assert run_python(f"import os; os.environ['AIRFLOW_HOME'] = {str(tmp_path)!r}\n{code}") == ""


@pytest.mark.parametrize(("file", "modules"), LOADED.items(), ids=LOADED)
def test_reading_it_loads_these_modules_of_ours_and_no_others(file: str, modules: str, tmp_path: Path) -> None:
    code = f"import os; os.environ['AIRFLOW_HOME'] = {str(tmp_path)!r}\n{SHOW_OURS % file}"

    assert run_python(code).split() == modules.split()


@pytest.mark.parametrize("path", engine_files(), ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_imports_nothing_from_airflow(path: Path) -> None:
    imported = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append(node.module or "")
    outside = [name for name in imported if name.startswith("airflow_midjourney.") and ".describe" not in name]

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
