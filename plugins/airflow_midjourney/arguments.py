"""What operator and sensor arguments mean after templating, where everything may have become text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.model.batch import Origin, Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.model.text import shortened
from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.describe.storage.keys import is_text, problem_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

_NOTHING = ("", "None", "null")

#: Characters of an argument that an error quotes.
_QUOTED = 200


def read_scope(
    *,
    bucket: str | None,
    prefix: str | Sequence[str] | None,
    keys: str | Sequence[str] | None,
    whole_bucket: bool,
    bot_type: str,
    manifest: str = "",
) -> Scope:
    """Make a scope of rendered arguments.

    :param manifest: as :func:`read_manifest` gives it.
    :raises SettingsError: if one of them is empty or makes no sense.
    """
    from airflow_midjourney.describe.model.choices import read_member

    wanted_keys = _texts(keys)
    named = bool(wanted_keys or manifest)
    wanted_bucket = _bucket(bucket)
    for key in wanted_keys:
        _refuse_address("keys", "key", key, wanted_bucket)
        _refuse_what_is_no_key(key)
    prefixes = () if named and prefix is None else _prefixes(prefix, whole_bucket=whole_bucket)
    for one in prefixes:
        _refuse_address("prefix", "prefix", one, wanted_bucket)
    return Scope(
        bucket=wanted_bucket,
        prefixes=prefixes,
        keys=wanted_keys,
        bot_type=read_member(BotType, "bot_type", bot_type),
        manifest=manifest,
    )


def read_manifest(value: str | None) -> str:
    """Read the templated URI of a manifest.

    :param value: None where the images are named otherwise.
    :return: the URI, empty for None.
    :raises SettingsError: if it is given and empty.
    """
    if value is None:
        return ""
    uri = str(value).strip()
    if uri in _NOTHING:
        raise SettingsError("manifest= is empty after templating. Give s3://bucket/key of an object that names images.")
    return uri


def read_bucket(value: str | None) -> str | None:
    """Read a templated bucket; nothing, ``""`` and ``"None"`` are none."""
    return _text(value) or None


def read_origin(context: Context) -> Origin:
    """Say which task of which run this is."""
    ti = context["ti"]
    return Origin(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        dag_task_id=ti.task_id,
        map_index=None if ti.map_index is None or ti.map_index < 0 else ti.map_index,
        logical_date=context.get("logical_date"),
        try_number=ti.try_number,
    )


def read_whole_number(value: int | str | None, name: str) -> int | None:
    """Read a templated number; nothing, ``""`` and ``"None"`` are no number.

    :raises SettingsError: if it is no whole number.
    """
    if value is None or str(value).strip() in _NOTHING:
        return None
    try:
        return int(str(value).strip())
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {value!r}.") from None


def read_money(value: float | str | None, name: str) -> str | None:
    """Read a templated amount of money, as exact text; nothing, ``""`` and ``"None"`` are no amount.

    :raises SettingsError: if it is no amount of zero or more.
    """
    if value is None or str(value).strip() in _NOTHING:
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise SettingsError(f"{name} must be an amount of money, not {value!r}.")
    return str(amount)


def read_yes_or_no(value: bool | str, name: str) -> bool:
    """Read a templated switch, which is ``True`` or ``False`` or one of these as text.

    :raises SettingsError: if it is neither.
    """
    told = str(value).strip().lower()
    if told not in ("true", "false"):
        raise SettingsError(f"{name} must be True or False, not {value!r}.")
    return told == "true"


def read_one_of(value: str, name: str, known: Sequence[str]) -> str:
    """Read a templated word.

    :raises SettingsError: if it is none of those known.
    """
    word = str(value).strip()
    if word not in known:
        raise SettingsError(f"{name} must be one of {', '.join(known)}, not {value!r}.")
    return word


def read_choice(value: str | None) -> Any:
    """Read a templated choice; nothing, ``""`` and ``"None"`` are no choice. The batch checks what it may be."""
    return None if value is None or str(value).strip() in _NOTHING else str(value).strip()


def read_moment(value: datetime | str | None, name: str) -> datetime | None:
    """Read a templated moment; nothing, ``""`` and ``"None"`` are none, and without a time zone it is UTC.

    :raises SettingsError: if it is no ISO date or moment.
    """
    if isinstance(value, datetime):
        moment = value
    elif value is None or str(value).strip() in _NOTHING:
        return None
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise SettingsError(f"{name} must be a date or a moment such as 2026-03-01, not {value!r}.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_statuses(value: str | Sequence[str]) -> tuple[Status, ...]:
    """Read one templated status or several; ``all`` is all of them.

    :raises SettingsError: if one of them is none.
    """
    names = _texts(value)
    if names == ("all",):
        return ()
    try:
        statuses = tuple(Status(name.strip()) for name in names)
    except ValueError:
        statuses = ()
    if not statuses:
        known = ", ".join(status.value for status in Status)
        raise SettingsError(f"status must be all, or one or more of {known}, not {value!r}.")
    return statuses


def read_batch_ids(batch: str | Iterable[str] | None) -> list[str]:
    """Read one batch id, or the list that a mapped operator gives; nothing where templating made nothing of it."""
    ids = [batch] if isinstance(batch, str) else list(batch or ())
    ids = [str(batch_id) for batch_id in ids if batch_id and str(batch_id) not in _NOTHING]
    return list(dict.fromkeys(ids))


def _text(value: str | None) -> str:
    text = str(value or "").strip()
    return "" if text in _NOTHING else text


def _bucket(value: str | None) -> str:
    """Read the name of a bucket; its address says the name to write, and is refused."""
    text = _text(value)
    address = read_address(text)
    if address is None and "/" not in text:
        return text
    name = address.bucket if address is not None else text.strip("/").partition("/")[0]
    shown = shortened(text.partition("?")[0], _QUOTED)
    cure = f"Write bucket={name!r}." if name else "Write the name, or the alias that an access point has as a bucket."
    raise SettingsError(f"bucket= is the name of a bucket, not {shown!r}. {cure}")


def _refuse_address(argument: str, what: str, text: str, bucket: str) -> None:
    """Refuse an address where S3 would look for keys that begin with it."""
    address = read_address(text.strip().strip("\"'"))
    if address is None:
        return
    if address.problem:
        # The link may be signed, so only its beginning is quoted.
        shown = shortened(text.partition("?")[0], _QUOTED)
        raise SettingsError(f"{argument}= has {shown!r}, which {address.problem}. Write the {what} alone.")
    other = f" of bucket={address.bucket!r} (this task has bucket={bucket!r})"
    instead = repr(shortened(address.key, _QUOTED)) if address.key else "whole_bucket=True for all objects"
    raise SettingsError(
        f"{argument}= has the address {shortened(text.partition('?')[0], _QUOTED)!r}; S3 wants the {what} alone. Write"
        f" {instead}{'' if address.bucket in ('', bucket) else other}."
    )


def _refuse_what_is_no_key(key: str) -> None:
    """Refuse a key that no object can have, and what a template has made of nothing."""
    problem = "names no key" if key.strip() in _NOTHING else problem_of_key(key)
    if problem:
        raise SettingsError(
            f"keys= has {shortened(key, _QUOTED)!r}, which {problem}. Give raw keys, as s3:ListObjects shows them."
        )


def _prefixes(prefix: str | Sequence[str] | None, *, whole_bucket: bool) -> tuple[str, ...]:
    if prefix is None and whole_bucket:
        return ("",)
    prefixes = _texts_of_template(prefix) if isinstance(prefix, str) else tuple(str(one) for one in prefix or ())
    if not prefixes:
        raise SettingsError("Give prefix= or keys= or manifest=; for all objects of the bucket, whole_bucket=True.")
    if not whole_bucket and any(one.strip() in _NOTHING for one in prefixes):
        raise SettingsError(
            f"A prefix is empty after templating ({list(prefixes)}), which would describe the whole bucket. If that"
            " is wanted, say whole_bucket=True."
        )
    for one in prefixes:
        if not is_text(one):
            shown = shortened(one, _QUOTED)
            raise SettingsError(f"prefix= has {shown!a}, with which no key begins: it holds NUL or half a letter.")
    return _without_nested(prefixes)


def _texts_of_template(text: str) -> tuple[str, ...]:
    """Read a list that a template made text of; a prefix may begin with a bracket, too."""
    try:
        found: Any = json.loads(text) if text.startswith("[") else None
    except ValueError:
        found = None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else (text,)


def _without_nested(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Drop prefixes that lie within another one, so that nothing is listed twice. The others keep their order.

    They are listed, and new images submitted, in it.
    """
    outermost: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not outermost or not prefix.startswith(outermost[-1]):
            outermost.append(prefix)
    kept = set(outermost)
    return tuple(prefix for prefix in dict.fromkeys(prefixes) if prefix in kept)


def _texts(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read a list, or the text that a template made of one."""
    if value is None:
        return ()
    if isinstance(value, str):
        return _texts_of_json(value)
    return tuple(str(one) for one in value)


def _texts_of_json(value: str) -> tuple[str, ...]:
    if value.strip() in _NOTHING:
        return ()
    if not value.lstrip().startswith("["):
        return (value,)
    try:
        found: Any = json.loads(value)
    except ValueError:
        raise SettingsError("keys= is text that looks like a list but is no JSON; render it with | tojson.") from None
    return tuple(str(one) for one in found)
