"""Reading words that a person, a template or a form has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from enum import StrEnum

Choice = TypeVar("Choice", bound="StrEnum")


def read_member(choices: type[Choice], name: str, value: object) -> Choice:
    """Read one of the choices that there are.

    :param name: of the argument or field, for the error.
    :raises SettingsError: if the value is none of them.
    """
    try:
        return choices(str(value).strip())
    except ValueError:
        known = ", ".join(choices)
        raise SettingsError(f"{name} must be one of {known}, not {value!r}.") from None
