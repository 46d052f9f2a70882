"""A describe service that costs money: where it is, its key, what it costs, and the yes that it takes."""

from __future__ import annotations

import getpass
import select
import sys
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.service.settings import normalise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.interruption import Interruption
    from demo.screen import Screen

#: The variables in which the user may say it.
KEY: Final = "MIDJOURNEY_KEY"
PAY: Final = "PAY"

#: Where a key may travel without TLS: it does not leave the machine.
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})

#: What services were seen to ask for one description, in USD; the README names the sources.
CHEAP: Final = Decimal("0.01")
DEAR: Final = Decimal("0.08")


class DeclinedError(Exception):
    """The user did not agree to the price."""


class ServiceError(Exception):
    """The service cannot be used as given, or must not be paid; the message is for the user."""


@dataclass(frozen=True, slots=True)
class RealService:
    """What the connection needs.

    :param key: empty for a service that asks for none.
    :param price: of one description, None where the user has not said.
    :param is_agreed: whether the user has said yes in advance.
    """

    address: str
    key: str = field(repr=False)
    price: Decimal | None
    currency: str
    is_agreed: bool

    def cost_of(self, number: int) -> str:
        """Say what some images cost at most."""
        if self.price is not None:
            return f"at most {self.price * number:.2f} {self.currency} at {self.price.normalize():f} each"
        return (
            f"at a price that this demo does not know (PRICE=0.05 would say it). Services were seen to ask for"
            f" {CHEAP} to {DEAR} USD each: {CHEAP * number:.2f} to {DEAR * number:.2f} USD"
        )


def read_service(address: str, environment: Mapping[str, str]) -> RealService:
    """Read where the service is and what it costs, and take the key from the environment or the keyboard.

    :raises ServiceError: for what makes no sense, and for a key that would travel in the clear.
    """
    _check_address(address)
    price, currency = _price(environment.get("PRICE", "")), environment.get("CURRENCY", "").strip() or "USD"
    return RealService(
        address.strip(),
        _key(address.strip(), environment),
        price,
        currency,
        is_agreed=environment.get(PAY, "").strip().lower() == "yes",
    )


def agree(number: int, what: str, service: RealService, screen: Screen, interruption: Interruption) -> None:
    """Name number and price, and ask.

    :param what: where the images are.
    :raises DeclinedError: if the user says no.
    :raises ServiceError: if there is no terminal to ask at, and the user has not said yes in advance.
    """
    screen.say()
    screen.say(f"{number:,} images of {what} would be sent to {service.address}, {service.cost_of(number)}.", "bold")
    screen.say("They go to that service, to Midjourney and to Discord, and cannot be called back.")
    if service.is_agreed:
        screen.say(f"{PAY}=yes says yes.")
        return
    if not sys.stdin.isatty():
        raise ServiceError(f"Nothing was sent: there is no terminal to ask at. {PAY}=yes says yes in advance.")
    screen.say("Send and pay for them? Type yes, or anything else to stop:")
    if _answer(interruption).strip().lower() != "yes":
        raise DeclinedError


def _answer(interruption: Interruption) -> str:
    """Wait for a line from the keyboard, and for Ctrl-C."""
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        interruption.check()
    return sys.stdin.readline()


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
    except ValueError as error:
        raise ServiceError(f"SERVICE is no address: {error}") from None
    if parts.username is not None or parts.password is not None or parts.query:
        raise ServiceError(f"SERVICE is the address alone. The key belongs in the variable {KEY}, or is asked for.")
    try:
        normalise(address.strip())
    except SettingsError as error:
        raise ServiceError(f"SERVICE is no address: {error}") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _HERE):
        raise ServiceError(
            f"SERVICE must begin with https://, not {address.strip()!r}: without TLS the key and the images could be"
            " read on the way. http:// is for this machine alone."
        )


def _key(address: str, environment: Mapping[str, str]) -> str:
    if KEY in environment:
        return environment[KEY].strip()
    if not sys.stdin.isatty():
        raise ServiceError(f"The API key of {address} is missing: set {KEY} in the environment (empty for no key).")
    return getpass.getpass(f"API key of {address} (it is not shown; Enter for none): ").strip()


def _price(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        price = Decimal(text.strip())
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price < 0:
        raise ServiceError(f"PRICE={text.strip()} is no price of one description: write it like 0.05.")
    return price
