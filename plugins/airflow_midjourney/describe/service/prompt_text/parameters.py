"""Midjourney's parameters, such as ``--ar 3:2 --v 6``, told from dashes in prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from airflow_midjourney.describe.service.prompt_text.folding import folded

_NUMBER: Final = r"\.?[0-9]{1,12}(?:[.,][0-9]{1,5}){0,2}"
_CODE: Final = r"(?:[A-Za-z0-9_:.-]{0,40}?[0-9][A-Za-z0-9_:.-]{0,40}|random)(?![^ \t,.;!?)\]}。，])"

_SIDE: Final = r"[0-9]{1,5}(?:[.,][0-9]{1,5})?"
_ASPECT: Final = re.compile(
    rf"[ \t]{{0,2}}[=:]?[ \t]{{0,2}}(?P<quote>[\"'“])?(?P<width>{_SIDE}) ?[:/x×-] ?(?P<height>{_SIDE})(?![0-9A-Za-z])"
    r"(?(quote)[\"'”])",
    re.IGNORECASE,
)
_ONE_NUMBER: Final = re.compile(rf"[ \t]{{0,2}}[=:]?[ \t]{{0,2}}{_NUMBER}(?![0-9A-Za-z:])")
_STYLE: Final = re.compile(
    r"[ \t]{1,2}(?:raw|cute|expressive|scenic|original|default|4[abc])(?![0-9A-Za-z-])", re.IGNORECASE
)
_MOTION: Final = re.compile(r"[ \t]{1,2}(?:low|high)(?![0-9A-Za-z-])", re.IGNORECASE)
_CODES: Final = re.compile(rf"(?:[ \t]{{1,2}}{_CODE})+")

_ASPECT_NAMES: Final = ("ar", "aspect", "aspectratio")
_CODE_NAMES: Final = ("p", "profile", "personalize", "personalise", "sref", "cref", "oref")
_NUMBER_NAMES: Final = (
    *(
        "v",
        "version",
        "niji",
        "s",
        "stylize",
        "stylise",
        "q",
        "quality",
        "c",
        "chaos",
        "w",
        "weird",
        "seed",
        "sameseed",
    ),
    *("iw", "sw", "cw", "ow", "sv", "stop", "r", "repeat", "exp", "bs", "hd", "video", "n"),
)
_FLAG_NAMES: Final = (
    *(
        "tile",
        "raw",
        "fast",
        "relax",
        "turbo",
        "draft",
        "hd",
        "stealth",
        "public",
        "test",
        "testp",
        "creative",
        "upbeta",
    ),
    *("uplight", "video", "loop", "hq", "niji"),
)

_VALUES: Final = (
    dict.fromkeys(_NUMBER_NAMES, _ONE_NUMBER)
    | dict.fromkeys(_CODE_NAMES, _CODES)
    | dict.fromkeys(_ASPECT_NAMES, _ASPECT)
    | {"style": _STYLE, "motion": _MOTION}
)
_KNOWN: Final = frozenset(_VALUES) | frozenset(_FLAG_NAMES) | {"no"}

# Codes of profiles have seven signs, and need not have a digit among them.
_PROFILE: Final = re.compile("[a-z0-9]{7}")

_OF_ANY_LENGTH: Final = frozenset({"no", "sref", "cref", "oref"})

# Longer runs of dashes are lines; the bound keeps the search linear.
_PARAMETER: Final = re.compile(
    r"(?<![-—])(?P<dashes>- -|[-—]{1,4})(?P<space> ?)(?P<name>aspect[-_ ]ratio|[a-z]{1,20})(?![a-z])", re.IGNORECASE
)

_BRACKETS: Final = {")": "(", "]": "[", "}": "{", "）": "（", "】": "【"}

_PUNCTUATION: Final = " \t.,;:!?。，；：！？、"

_CLOSING: Final = " \t.,;:!?)]}。，；：！？、）】"


@dataclass(frozen=True, slots=True)
class Divided:
    """A prompt without its parameters.

    :param text: the words.
    :param aspect_ratio: as ``W:H``; None where there is none.
    :param ends_in_ratio: whether nothing but parameters stands behind the aspect ratio.
    """

    text: str
    aspect_ratio: str | None
    ends_in_ratio: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What may be a parameter.

    :param end: where its value ends, or its name, if it has none that fits.
    :param sure: whether name, dash and value fit, so that it is one wherever it stands.
    :param doubtful: whether it is one only beside another: a single dash without a value of its own.
    """

    name: str
    start: int
    end: int
    sure: bool
    doubtful: bool
    ratio: str | None = None


def divide(line: str) -> Divided:
    """Take the parameters out of one prompt: all at its end, and everywhere else the sure ones.

    :param line: one prompt, on one line.
    """
    shadow = folded(line)
    found = _candidates(shadow)
    tail = _start_of_tail(shadow, found)
    ratios = [one for one in found if one.ratio]
    return Divided(
        _without(line, found, tail),
        ratios[-1].ratio if ratios else None,
        bool(ratios) and ratios[-1].start >= tail,
    )


def _candidates(shadow: str) -> list[_Found]:
    found: list[_Found] = []
    end = 0
    for match in _PARAMETER.finditer(shadow):
        if match.start() >= end and (one := _read(shadow, match)):
            found.append(one)
            end = one.end
    return found


def _read(shadow: str, match: re.Match[str]) -> _Found | None:
    name = re.sub("[-_ ]", "", match["name"].lower())
    glued = match.start() > 0 and not shadow[match.start() - 1].isspace()
    value = _VALUES[name].match(shadow, match.end()) if name in _VALUES else None
    if value is not None and _is_sure(match, name, glued=glued):
        ratio = f"{_side(value['width'])}:{_side(value['height'])}" if name in _ASPECT_NAMES else None
        return _Found(name, match.start(), value.end(), sure=True, doubtful=False, ratio=ratio)
    dashes = match["dashes"]
    if value is not None and dashes == "-" and not glued and not match["space"]:
        return _Found(name, match.start(), value.end(), sure=False, doubtful=True)
    may_be_one = dashes.count("-") >= 2 or ("—" in dashes and name in _KNOWN)
    if match["space"] or not may_be_one or (glued and (name not in _KNOWN or dashes == "—")):
        return None
    return _Found(name, match.start(), match.end(), sure=False, doubtful=glued or dashes == "—")


def _side(number: str) -> str:
    return re.sub(r"^0+(?=[0-9])", "", number.replace(",", "."))


def _is_sure(match: re.Match[str], name: str, *, glued: bool) -> bool:
    """Say whether a known name with a value that fits is a parameter: a lone hyphen is one before a ratio only."""
    if name in _ASPECT_NAMES:
        return match["dashes"] != "-" or not glued
    if len(match["dashes"]) > 1:
        return not match["space"] or name not in _CODE_NAMES
    return match["dashes"] == "—" and not glued and not match["space"]


def _start_of_tail(shadow: str, found: list[_Found]) -> int:
    """Find where the parameters begin that a prompt ends with."""
    tail = len(shadow)
    for at in range(len(found) - 1, -1, -1):
        one = found[at]
        rest = shadow[one.end : tail].strip(_CLOSING)
        if rest and (one.sure or not _may_have(one.name, rest)):
            break
        if one.doubtful and tail == len(shadow) and not _follows_a_sure_one(shadow, found, at):
            break
        tail = one.start
    return tail


def _may_have(name: str, rest: str) -> bool:
    if name in _OF_ANY_LENGTH or len(rest.split(None, 1)) == 1:
        return True
    return name in _CODE_NAMES and all(map(_PROFILE.fullmatch, rest.split()))


def _follows_a_sure_one(shadow: str, found: list[_Found], at: int) -> bool:
    """Say whether a sure one stands before it, or before the doubtful ones that lead up to it."""
    for before, one in zip(reversed(found[:at]), reversed(found[1 : at + 1]), strict=True):
        if shadow[before.end : one.start].strip(_CLOSING):
            return False
        if before.sure:
            return True
    return False


def _without(line: str, found: list[_Found], tail: int) -> str:
    kept: list[str] = []
    position = 0
    for one in found:
        if one.sure and one.start < tail:
            before = line[position : one.start]
            kept.append(before.rstrip() if line[one.end : one.end + 1] in _CLOSING else before)
            position = one.end
    kept.append(line[position:tail])
    return _without_bracket("".join(kept).rstrip(), line[tail:].rstrip(_PUNCTUATION))


def _without_bracket(text: str, parameters: str) -> str:
    """Take off the bracket that opens before the parameters, where they end in the one that closes."""
    opening = _BRACKETS.get(parameters[-1:])
    return text[:-1].rstrip() if opening and text.endswith(opening) else text
