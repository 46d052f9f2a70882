"""The extra field of a ``midjourney`` connection, read strictly: one home for its names, defaults and bounds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.submit_window import SubmitWindow, read_submit_window
from airflow_midjourney.describe.service.settings import AuthMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: A count, a price or a number of seconds; more is a slip, and has no place in the table.
_LARGEST: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ConnectionExtra:
    """What the extra of a connection says.

    :param auth: how the key is sent: ``bearer``, ``secret`` or ``token``.
    :param account: fixed name of the account; a digest of the key where empty.
    :param max_in_flight: images on their way at once, over all runs and processes.
    :param max_submissions_per_day: POSTs a UTC day, None for no cap.
    :param max_cost_per_day: money a UTC day, None for no cap; needs ``price``.
    :param submit_window: hours within which images are submitted, such as ``22:00-06:00 Europe/Berlin``; None for any
        time.
    :param price: what one accepted POST costs.
    :param currency: of the price.
    :param refunds_failures: True where the service gives the money back for tasks that fail.
    :param timeout: seconds one request may take in all.
    :param task_timeout: seconds a describe may take from its start.
    :param verify: False to accept any certificate, or the path of a CA bundle.
    :param allowed_uris: patterns over ``s3://bucket/key`` that bound what may be read and sent.
    :param allowed_targets: patterns over ``s3://bucket/prefix`` or folders that bound where exports may go.
    :param callback_url: where the service may report changes; with ``[midjourney] callbacks`` our receiver.
    """

    auth: AuthMode = "bearer"
    account: str = ""
    max_in_flight: int = 12
    max_submissions_per_day: int | None = None
    max_cost_per_day: Decimal | None = None
    submit_window: SubmitWindow | None = None
    price: Decimal | None = None
    currency: str | None = None
    refunds_failures: bool = False
    timeout: float = 60.0
    task_timeout: float = 1800.0
    verify: bool | str = True
    allowed_uris: tuple[str, ...] = ()
    allowed_targets: tuple[str, ...] = ()
    callback_url: str = ""


def read_extra(extra: Mapping[str, Any], conn_id: str) -> ConnectionExtra:
    """Read the extra of a connection; fields left empty in the form take their defaults.

    :raises SettingsError: for a name that is not known or a value that makes no sense.
    """
    given = {name: value for name, value in extra.items() if value is not None and value != ""}
    unknown = sorted(set(given) - {field.name for field in fields(ConnectionExtra)})
    if unknown:
        known = ", ".join(field.name for field in fields(ConnectionExtra))
        raise SettingsError(f"Connection {conn_id!r}: unknown extra {', '.join(unknown)}. Known are: {known}.")
    read = {name: _READERS[name](value, f"Connection {conn_id!r}: extra {name}") for name, value in given.items()}
    result = ConnectionExtra(**read)
    if result.max_cost_per_day is not None and not result.price:
        raise SettingsError(f"Connection {conn_id!r}: max_cost_per_day needs a price; set the extra price, too.")
    return result


def _auth(value: Any, what: str) -> AuthMode:
    modes, mode = get_args(AuthMode), str(value).strip().lower()
    if mode not in modes:
        raise SettingsError(f"{what} must be one of {', '.join(modes)}, not {value!r}.")
    return cast("AuthMode", mode)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{what} must be text, not {type(value).__name__}.")
    if not value.strip().isprintable():
        raise SettingsError(f"{what} must be one line of text, not {value!r}.")
    return value.strip()


def _count(value: Any, what: str) -> int:
    number = _decimal(value, what)
    if number != number.to_integral_value() or number < 1:
        raise SettingsError(f"{what} must be a whole number of at least 1, not {value!r}.")
    return int(number)


def _seconds(value: Any, what: str) -> float:
    number = float(_decimal(value, what))
    if number <= 0:
        raise SettingsError(f"{what} must be a number of seconds above 0, not {value!r}.")
    return number


def _money(value: Any, what: str) -> Decimal:
    number = _decimal(value, what)
    if number < 0:
        raise SettingsError(f"{what} must not be negative, but is {value!r}.")
    return number


def _decimal(value: Any, what: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise SettingsError(f"{what} must be a number, not {value!r}.")
    if number > _LARGEST:
        raise SettingsError(f"{what} must be at most {_LARGEST}, not {value!r}.")
    return number


def _yes_or_no(value: Any, what: str) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{what} must be true or false, not {value!r}.")
    return text == "true"


def _verify(value: Any, what: str) -> bool | str:
    if isinstance(value, bool):
        return value
    text = _text(value, what)
    return {"true": True, "false": False}.get(text.lower(), text)


def _window(value: Any, what: str) -> SubmitWindow:
    return read_submit_window(_text(value, what), what)


def _patterns(value: Any, what: str) -> tuple[str, ...]:
    patterns = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise SettingsError(f"{what} must be a list of patterns such as s3://bucket/prefix/*.")
    return tuple(pattern.strip() for pattern in patterns if pattern.strip())


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "auth": _auth,
    "account": _text,
    "max_in_flight": _count,
    "max_submissions_per_day": _count,
    "max_cost_per_day": _money,
    "submit_window": _window,
    "price": _money,
    "currency": _text,
    "refunds_failures": _yes_or_no,
    "timeout": _seconds,
    "task_timeout": _seconds,
    "verify": _verify,
    "allowed_uris": _patterns,
    "allowed_targets": _patterns,
    "callback_url": _text,
}
