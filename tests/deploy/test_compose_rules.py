"""docker-compose.yml keeps to the Compose specification and to our own rules."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.compose.dockerfile import stages
from tests.support.compose.reading import COMPOSE_FILE, MissingVariableError, load, services, variables

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = REPOSITORY / "tests" / "fixtures" / "compose" / "compose-spec.json"
AIRFLOW_ENV = REPOSITORY / "deploy" / "airflow.env"

#: They do one thing and end.
ONCE = {"airflow-init", "demo-images"}

#: A tag that says the version to its last part: 17.11-bookworm, v1.8.0, 3.3.2-python3.11.
FULL_VERSION = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+[\d.]*)?")

#: Where a password, a key or an address with a login stands.
TELLING = re.compile(r"PASSWORD|SECRET|KEY|AUTH[:=]|--key|requirepass|://[^/ ]*@|\"password\"")


def text() -> str:
    return COMPOSE_FILE.read_text(encoding="utf-8") + AIRFLOW_ENV.read_text(encoding="utf-8")


def uncommented(path: Path) -> str:
    return re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_file_is_what_the_specification_says(validator: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(load())] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "redis", "healthchek"), {}),
        (("services", "redis", "ports"), {"8080": 80}),
        (("services", "airflow-worker", "depends_on", "redis", "condition"), "healthy"),
    ],
)
def test_the_schema_finds_mistakes(
    validator: jsonschema.Draft202012Validator, path: tuple[str, ...], value: Any
) -> None:
    compose = load()
    place = compose
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert list(validator.iter_errors(compose))


def test_every_variable_is_required_or_has_a_default(env_values: dict[str, str]) -> None:
    asked = list(variables(uncommented(COMPOSE_FILE) + uncommented(AIRFLOW_ENV)))

    assert [variable.name for variable in asked if not variable.required and variable.default is None] == []
    required = {variable.name for variable in asked if variable.required}
    assert required == set(env_values) - {"COMPOSE_PROFILES"}
    assert not required & {variable.name for variable in asked if not variable.required}


def test_a_variable_has_the_same_default_everywhere() -> None:
    defaults: dict[str, set[str | None]] = {}
    for variable in variables(text()):
        defaults.setdefault(variable.name, set()).add(variable.default)

    assert {name: found for name, found in defaults.items() if len(found) > 1} == {}


def test_nothing_starts_without_a_secret(env_values: dict[str, str]) -> None:
    for name in set(env_values) - {"COMPOSE_PROFILES"}:
        with pytest.raises(MissingVariableError, match=f"{name}: run make env"):
            services(env_values | {name: ""})


def test_ports_are_open_for_this_machine_only(env_values: dict[str, str]) -> None:
    published = {name: service.ports for name, service in services(env_values).items() if service.ports}

    assert set(published) == {"airflow-apiserver", "s3"}
    assert all(port.startswith("127.0.0.1:") for port in chain(*published.values()))


def test_images_are_pinned_or_built_here(env_values: dict[str, str]) -> None:
    for service in services(env_values).values():
        image = service.raw["image"]
        assert image.endswith(":local") if "build" in service.raw else FULL_VERSION.fullmatch(image), image
    built_in = {stage.name for stage in stages()}
    for stage in stages():
        assert stage.base in built_in or FULL_VERSION.fullmatch(stage.base), stage.base


@pytest.mark.parametrize("image", ["redis", "redis:7", "redis:latest", "redis:7-bookworm"])
def test_what_is_no_full_version(image: str) -> None:
    assert not FULL_VERSION.fullmatch(image)


def test_every_service_that_stays_has_a_health_check(env_values: dict[str, str]) -> None:
    found = services(env_values)

    assert {name for name, service in found.items() if not service.check} == ONCE
    assert all(found[name].raw["restart"] == "no" for name in ONCE)
    assert {service.raw["restart"] for name, service in found.items() if name not in ONCE} == {"unless-stopped"}


def test_no_secret_is_written_in_the_file() -> None:
    lines = [line for path in (COMPOSE_FILE, AIRFLOW_ENV) for line in uncommented(path).splitlines()]
    telling = [line for line in lines if TELLING.search(line)]

    assert len(telling) >= 12
    assert [line for line in telling if ":?" not in line] == []


def test_the_worker_can_be_scaled_and_has_time_to_stop(env_values: dict[str, str]) -> None:
    worker = services(env_values)["airflow-worker"].raw

    assert not {"container_name", "hostname", "ports"} & set(worker)
    # The deadline of a POST is 60 s unless the connection says otherwise.
    assert int(worker["stop_grace_period"].removesuffix("s")) >= 2 * 60
    assert "DUMB_INIT_SETSID" not in uncommented(COMPOSE_FILE) + uncommented(AIRFLOW_ENV)


def test_all_of_airflow_sees_the_same(env_values: dict[str, str]) -> None:
    found = {name: service for name, service in services(env_values).items() if name.startswith("airflow-")}

    assert len(found) == 6
    for service in found.values():
        assert service.raw["env_file"] == "deploy/airflow.env"
        assert "./dags:/opt/airflow/dags:ro" in service.raw["volumes"]
        assert json.loads(service.environment["AIRFLOW_CONN_MIDJOURNEY_DEFAULT"])["conn_type"] == "midjourney"
    first, *others = [
        {name: value for name, value in service.environment.items() if name.startswith("AIRFLOW")}
        for service in found.values()
    ]
    assert all(other == first for other in others)


def test_the_prompts_have_a_database_and_a_login_of_their_own(env_values: dict[str, str]) -> None:
    environment = services(env_values)["airflow-worker"].environment
    prompts = json.loads(environment["AIRFLOW_CONN_IMAGE_PROMPTS_DB"])

    assert prompts["password"] == env_values["IMAGE_PROMPTS_DB_PASSWORD"]
    assert (prompts["login"], prompts["schema"]) == ("image_prompts", "image_prompts")
    assert env_values["IMAGE_PROMPTS_DB_PASSWORD"] not in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
    assert "POSTGRES_PASSWORD" not in environment


def test_volumes_and_needs_name_what_is_there(env_values: dict[str, str]) -> None:
    compose, found = load(), services(env_values)
    mounted = {volume.partition(":")[0] for service in found.values() for volume in service.raw.get("volumes", [])}

    assert {name for name in mounted if not name.startswith("./")} == set(compose["volumes"])
    assert all((REPOSITORY / name).is_dir() for name in mounted if name.startswith("./"))
    needs = [need for service in found.values() for need in service.needs.items()]
    assert {name for name, _ in needs} <= set(found)
    # Else `up --wait` fails when they have ended.
    assert {name for name, condition in needs if condition == "service_completed_successfully"} == ONCE
