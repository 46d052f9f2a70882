"""Lists as GitHub reads them: what stands two spaces in belongs to the item above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markdown.blockprocessors import CodeBlockProcessor, ListIndentProcessor, OListProcessor, UListProcessor
from markdown.extensions import Extension

if TYPE_CHECKING:
    from markdown import Markdown


class TwoSpaces(Extension):
    """An extension of Python-Markdown, which wants four without it; ``mkdocs.yml`` names this module."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Set how far in nested text stands, and make those parts anew that have asked before."""
        md.tab_length = 2
        processors = md.parser.blockprocessors
        processors.register(ListIndentProcessor(md.parser), "indent", 90)
        processors.register(CodeBlockProcessor(md.parser), "code", 80)
        processors.register(OListProcessor(md.parser), "olist", 40)
        processors.register(UListProcessor(md.parser), "ulist", 30)


def makeExtension(**options: Any) -> TwoSpaces:  # noqa: N802 - the name is Markdown's
    """Give the extension, as Markdown asks for it."""
    return TwoSpaces(**options)
