"""Lists as GitHub reads them: what stands two spaces in belongs to the item above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markdown.extensions import Extension

if TYPE_CHECKING:
    from markdown import Markdown


class TwoSpaces(Extension):
    """An extension of Python-Markdown, which wants four without it; ``mkdocs.yml`` names this module."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Set how far in nested text stands."""
        md.tab_length = 2


def makeExtension(**options: Any) -> TwoSpaces:  # noqa: N802 - the name is Markdown's
    """Give the extension, as Markdown asks for it."""
    return TwoSpaces(**options)
