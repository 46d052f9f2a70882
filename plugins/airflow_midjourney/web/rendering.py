"""Templates, and how they show moments, money, counts and strangers' text.

Keys, prompts and details come from strangers. The templates escape everything; :func:`shown` also makes visible what
would change how the text around it reads.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from airflow_midjourney._version import __version__
from airflow_midjourney.describe.model.durations import duration
from airflow_midjourney.describe.model.outcome import FREE
from airflow_midjourney.links import batch_address, list_address

if TYPE_CHECKING:
    from fastapi import Request

TEMPLATES: Final = Path(__file__).parent / "templates"

#: The pages that every page leads to: template's name for it, address below ours, words.
NAVIGATION: Final = (
    ("batches", "batches", "Batches"),
    ("gallery", "gallery", "Gallery"),
    ("failures", "failures", "Failures"),
    ("spend", "spend", "Spend"),
)

#: Controls, marks that turn the direction of text, and halves of characters that no encoding takes.
_TREACHEROUS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def page(request: Request, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Give a page.

    :param template: the file below ``templates/``. It extends ``base.html`` and sets ``here`` to its name in
        :data:`NAVIGATION`.
    :param values: what the template shows. It always has ``root``, the way from this page to our own top: addresses
        are relative, since a reverse proxy may put Airflow below any path.
    """
    html = _environment().get_template(template).render(root=root(request), navigation=NAVIGATION, **values)
    return HTMLResponse(html, status_code=status)


def root(request: Request) -> str:
    """Give the relative way from a request's page to our own top: nothing, or as many ``../`` as it is deep."""
    return "../" * (below_the_app(request).count("/") - 1)


def below_the_app(request: Request) -> str:
    """Give a request's path without what Airflow, and a proxy before it, put before ours: ``/batches``."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", ""))


def shown(text: object) -> str:
    """Give a stranger's text as it can be shown: what is invisible and changes how other text reads is spelt out."""
    return _TREACHEROUS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def count(number: int) -> str:
    """Give a number of things, with commas between thousands."""
    return f"{number:,}"


def money(amount: Decimal | None, currency: str | None = None) -> str:
    """Give an amount with two decimals, or more where it has more; or say that it is not known."""
    if amount is None:
        return "no price is set"
    exact = amount.normalize()
    decimals = max(2, -int(exact.as_tuple().exponent))
    return f"{exact:,.{decimals}f} {currency or ''}".rstrip()


def moment(when: datetime | None) -> Markup:
    """Give a moment in UTC as an element that scripts and screen readers understand."""
    if when is None:
        return Markup("&ndash;")
    at = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def clock(when: datetime) -> str:
    """Give a moment of these days by the clock alone."""
    return when.astimezone(UTC).strftime("%H:%M:%S UTC")


def stranger(text: object) -> Markup:
    """Give a stranger's text as an element of its own, whose direction says nothing about what is around it."""
    return Markup("<bdi>{}</bdi>").format(shown(text))


def percent(part: float, whole: float) -> str:
    """Give a share of something; never 100 % of what is not complete, nor 0 % of what has begun."""
    if whole <= 0:
        return "0 %"
    share = 100 * part / whole
    if 0 < share < 1:
        return "<1 %"
    return f"{min(int(share), 99) if part < whole else 100} %"


def coded(text: str) -> Markup:
    """Give our own words, in which what stands between backticks is code, and between asterisks a name."""
    code = Markup("<code>{}</code>")
    parts = (code.format(part) if number % 2 else _named(part) for number, part in enumerate(text.split("`")))
    return Markup("").join(parts)


def _named(text: str) -> Markup:
    name = Markup("<em>{}</em>")
    parts = (name.format(part) if number % 2 else escape(part) for number, part in enumerate(text.split("*")))
    return Markup("").join(parts)


def size_of(number: int | None) -> str:
    """Give a number of bytes in the unit that suits it."""
    if number is None:
        return "–"
    size, units = float(number), ["bytes", "KB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" or size >= 10 else f"{size:.1f} {units[0]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "is_paid": lambda outcome: outcome not in FREE,
        "coded": coded,
        "count": count,
        "duration": duration,
        "moment": moment,
        "money": money,
        "percent": percent,
        "shown": shown,
        "size_of": size_of,
        "stranger": stranger,
    }
    environment.globals |= {"version": __version__, "batch_address": batch_address, "list_address": list_address}
    return environment
