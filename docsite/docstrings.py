"""Sphinx's markup in docstrings as Markdown: ``:class:`~a.b.C``` becomes a link to where ``a.b.C`` is described."""

from __future__ import annotations

import re
import textwrap
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:class|func|meth):`(?P<short>~?)(?P<name>[\w.]+)`")
_CODE: Final = re.compile(r"^\.\. code-block:: (?P<language>\w+)\n\n(?P<code>(?:(?: {4}.*)?\n)+)", re.MULTILINE)
_SEE_ALSO: Final = re.compile(r"^\.\. seealso:: ", re.MULTILINE)


class SphinxMarkup(griffe.Extension):
    """An extension of griffe: ``mkdocs.yml`` names this file."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Write the docstring of an object anew, as Markdown."""
        if obj.docstring is not None:
            text = _SEE_ALSO.sub("See also ", _CODE.sub(_fence, obj.docstring.value))
            obj.docstring.value = _ROLE.sub(lambda role: _link(role, obj), text)


def _fence(block: re.Match[str]) -> str:
    return f"```{block['language']}\n{textwrap.dedent(block['code']).strip()}\n```\n\n"


def _link(role: re.Match[str], obj: griffe.Object) -> str:
    name = role["name"]
    shown = name.rpartition(".")[2] if role["short"] else name
    path = name if "." in name else _beside(obj, name)
    return f"[`{shown}`][{path}]"


def _beside(obj: griffe.Object, name: str) -> str:
    """Give the path of what a docstring names without saying where: it is in the same class or module."""
    return f"{obj.parent.path}.{name}" if obj.parent is not None else name
