"""Sphinx's roles in docstrings as links of the site: ``:class:`~a.b.C``` leads to where ``a.b.C`` is described."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:class|func|meth):`(?P<short>~?)(?P<name>[\w.]+)`")
_SEE_ALSO: Final = re.compile(r"^\.\. seealso:: ", re.MULTILINE)


class SphinxRoles(griffe.Extension):
    """An extension of griffe: ``mkdocs.yml`` names this file."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Write the docstring of an object anew, as Markdown."""
        if obj.docstring is not None:
            obj.docstring.value = _SEE_ALSO.sub(
                "See also ", _ROLE.sub(lambda role: _link(role, obj), obj.docstring.value)
            )


def _link(role: re.Match[str], obj: griffe.Object) -> str:
    name = role["name"]
    shown = name.rpartition(".")[2] if role["short"] else name
    path = name if "." in name else _beside(obj, name)
    return f"[`{shown}`][{path}]"


def _beside(obj: griffe.Object, name: str) -> str:
    """Give the path of what a docstring names without saying where: it is in the same class or module."""
    return f"{obj.parent.path}.{name}" if obj.parent is not None else name
