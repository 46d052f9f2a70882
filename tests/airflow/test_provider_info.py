"""What Airflow is told of this provider is true, and nothing is named so that Airflow would mask it."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS

from airflow_midjourney import settings
from airflow_midjourney.hooks.connection_extra import ConnectionExtra, read_extra
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.operators.export import ExportPromptsOperator
from airflow_midjourney.operators.import_reviews import ImportReviewsOperator
from airflow_midjourney.operators.purge import PurgePromptsOperator
from airflow_midjourney.operators.reparse import ReparsePromptsOperator
from airflow_midjourney.provider import get_provider_info
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from airflow_midjourney.triggers.describe import BatchTrigger
from tests.support.airflow_home import REPOSITORY

TASKS = (DescribeImagesOperator, DescribeImagesSensor)
TABLE_TASKS = (ExportPromptsOperator, ImportReviewsOperator, PurgePromptsOperator, ReparsePromptsOperator)

#: What some take besides.
MORE = {ExportPromptsOperator: {"target": "/data", "format": "csv"}, ImportReviewsOperator: {"source": "/data/x.json"}}


@pytest.fixture
def connection_type() -> dict[str, Any]:
    return dict(get_provider_info()["connection-types"][0])


def test_it_is_what_airflow_accepts() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    assert list(jsonschema.Draft7Validator(schema).iter_errors(get_provider_info())) == []


def test_every_module_that_it_names_is_there() -> None:
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]

    assert len(modules) == 11
    assert all(importlib.import_module(module) for module in modules)


def test_every_guide_that_it_names_is_there() -> None:
    (integration,) = get_provider_info()["integrations"]
    guides = integration["how-to-guide"]

    assert len(guides) == 6
    assert [guide for guide in guides if not (REPOSITORY / guide.removeprefix("/")).is_file()] == []
    assert all(guide.startswith("/docs/") for guide in guides)


def test_the_form_of_the_connection_has_the_fields_that_the_hook_reads(connection_type: dict[str, Any]) -> None:
    assert import_string(connection_type["hook-class-name"]) is MidjourneyHook
    assert connection_type["connection-type"] == MidjourneyHook.conn_type
    assert connection_type["hook-name"] == MidjourneyHook.hook_name
    assert list(connection_type["conn-fields"]) == [field.name for field in fields(ConnectionExtra)]


def test_every_field_may_be_left_empty_and_none_offers_what_the_hook_refuses(connection_type: dict[str, Any]) -> None:
    for name, field in connection_type["conn-fields"].items():
        jsonschema.Draft7Validator.check_schema(field["schema"])
        assert "null" in field["schema"]["type"], name
        assert None not in field["schema"].get("enum", ()), f"{name}: the form shows it as null"


def test_what_the_form_shows_as_chosen_is_what_holds_where_nothing_is_chosen(connection_type: dict[str, Any]) -> None:
    shown = {
        name: field["schema"]["default"]
        for name, field in connection_type["conn-fields"].items()
        if "default" in field["schema"]
    }
    choices = {name for name, field in connection_type["conn-fields"].items() if "enum" in field["schema"]}

    assert set(shown) == choices == {"auth", "refunds_failures"}
    assert read_extra(shown, "mj") == read_extra({}, "mj")


def test_the_configuration_that_it_documents_is_the_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    options = get_provider_info()["config"][settings.SECTION]["options"]
    given = {
        "table": "prompts",
        "schema": "annotation",
        "manage_schema": "False",
        "poll_interval": "9.5",
        "callbacks": "True",
        "gallery_images": "False",
    }
    defaults = settings.read_settings()
    for name, value in given.items():
        monkeypatch.setenv(f"AIRFLOW__MIDJOURNEY__{name.upper()}", value)

    assert set(options) == {field.name for field in fields(settings.Settings)} == set(given)
    given_settings = settings.Settings("prompts", "annotation", False, 9.5, callbacks=True, gallery_images=False)
    assert settings.read_settings() == given_settings
    assert (defaults.table, defaults.schema, defaults.manage_schema) == (options["table"]["default"], None, True)
    assert str(defaults.gallery_images) == options["gallery_images"]["default"]
    assert str(defaults.poll_interval) == options["poll_interval"]["default"]
    assert str(defaults.callbacks) == options["callbacks"]["default"]


@pytest.mark.parametrize("named", [*TASKS, *TABLE_TASKS, BatchTrigger, MidjourneyHook])
def test_nothing_is_named_so_that_airflow_would_mask_it(named: type) -> None:
    names = [*inspect.signature(named).parameters, *getattr(named, "template_fields", ())]

    assert [name for name in names if any(word in name.lower() for word in DEFAULT_SENSITIVE_FIELDS)] == []


def test_no_field_of_the_connections_extra_is_masked() -> None:
    names = [field.name for field in fields(ConnectionExtra)]

    assert [name for name in names if any(word in name.lower() for word in DEFAULT_SENSITIVE_FIELDS)] == []


@pytest.mark.parametrize("task", [*TASKS, *TABLE_TASKS])
def test_every_templated_field_is_an_argument_and_an_attribute(task: type) -> None:
    made = task(task_id="task", bucket="photos", prefix="in/", **MORE.get(task, {}))
    parameters = {
        name
        for one in task.__mro__
        if one.__module__.startswith("airflow_midjourney")
        for name in inspect.signature(one.__init__).parameters
    }

    assert set(made.template_fields) <= parameters
    assert all(hasattr(made, name) for name in made.template_fields)


@pytest.mark.parametrize("task", [*TASKS, *TABLE_TASKS])
def test_each_templated_field_that_may_be_a_list_or_a_mapping_is_shown_as_json(task: Any) -> None:
    annotations = {
        name: str(parameter.annotation)
        for one in task.__mro__
        if one.__module__.startswith("airflow_midjourney")
        for name, parameter in inspect.signature(one.__init__).parameters.items()
    }
    structured = {
        name
        for name in task.template_fields
        if any(word in annotations[name] for word in ("Sequence", "Iterable", "Mapping"))
    }

    assert {"prefix", "keys"} <= structured
    assert task.template_fields_renderers == dict.fromkeys(structured, "json")
