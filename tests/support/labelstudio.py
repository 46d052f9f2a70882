"""How Label Studio's SDK checks tasks, in our words: the package itself brings OpenCV, nltk and black.

After ``label_studio_sdk.label_interface.LabelInterface`` 2.0.19: ``validate``, ``validate_task`` and
``validate_prediction``. Its JSON schema of labeling interfaces is used as it is.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any, Final

import jsonschema

from tests.support.airflow_home import REPOSITORY

_SCHEMA: Final = json.loads((REPOSITORY / "tests/fixtures/labelstudio/label_config_schema.json").read_text("utf-8"))


class Project:
    """A project with a labeling interface.

    :raises AssertionError: if Label Studio would refuse it.
    """

    def __init__(self, label_config: str) -> None:
        self._root = ElementTree.fromstring(label_config)
        jsonschema.validate({self._root.tag: _badgerfish(self._root)}, _SCHEMA)
        tags = list(self._root.iter())
        names = [tag.get("name") for tag in tags if tag.get("name")]
        assert len(names) == len(set(names)), names
        self._controls = {str(tag.get("name")): tag for tag in tags if tag.get("toName")}
        self._objects = {str(tag.get("name")): tag for tag in tags if tag.get("name") and not tag.get("toName")}
        assert all(tag.get("toName") in self._objects for tag in self._controls.values())

    def check(self, task: dict[str, Any]) -> None:
        """Check one task as an import does.

        :raises AssertionError: if it would be refused.
        """
        for tag in self._objects.values():
            assert task["data"].get(tag.get("value", "").removeprefix("$")) is not None, task
        for made in (*task.get("predictions", ()), *task.get("annotations", ())):
            for region in made["result"]:
                self._check_region(region)

    def _check_region(self, region: dict[str, Any]) -> None:
        assert {"from_name", "to_name", "type", "value"} <= region.keys(), region
        control = self._controls[region["from_name"]]
        assert region["type"] == control.tag.lower(), region
        assert region["to_name"] == control.get("toName"), region
        value = region["value"]
        if control.tag == "TextArea":
            assert isinstance(value["text"], list | str), region
        else:
            assert set(value["choices"]) <= {choice.get("value") for choice in control}, region


def _badgerfish(element: ElementTree.Element) -> dict[str, Any]:
    """Give XML as ``xmljson.badgerfish`` does: attributes with ``@``, children of one name as a list."""
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        found.setdefault(child.tag, []).append(_badgerfish(child))
    return {name: each[0] if isinstance(each, list) and len(each) == 1 else each for name, each in found.items()}
