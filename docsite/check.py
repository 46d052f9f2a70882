"""Follow every link of a built site, and look for Markdown in its text: ``python -m docsite.check build/site``.

MkDocs checks what is written in Markdown. This looks at what a browser gets: also the theme's links and those of the
API, and that a page loads nothing from elsewhere, so that it can be read from a disk.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

#: What a browser loads by itself, and from which attribute; ``a`` is followed by people alone.
LOADED: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}

#: What a reader sees as it was written, where a list, a block of code or a directive of Sphinx was not understood.
UNREAD: Final = re.compile(r"^(?:```|- |\d\. |\.\. ).*", re.MULTILINE)


@dataclass
class Page(HTMLParser):
    """The links and anchors of a page, and what was not understood of it."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    _tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, loads, or is named."""
        self._tags.append(tag)
        given = dict(attrs)
        if name := given.get("id"):
            self.anchors.add(name)
        if tag == "a" and (link := given.get("href")):
            self.links.append(link)
        if tag in LOADED and given.get("rel") != "canonical" and (load := given.get(LOADED[tag])):
            self.loads.append(load)

    def handle_endtag(self, tag: str) -> None:
        """Leave a tag, and those in it that have no end."""
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note what looks like Markdown in a paragraph, which is where it ends up."""
        if "p" in self._tags and "code" not in self._tags:
            self.unread += UNREAD.findall(data)


def broken(site: Path) -> list[str]:
    """Give what is wrong with a site, a line each."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    links = [
        f"{page.path.relative_to(site)}: {link}: {fault}"
        for page in pages.values()
        for link in dict.fromkeys([*page.links, *page.loads])
        if (fault := _fault(site, page, link, pages))
    ]
    texts = [
        f"{page.path.relative_to(site)}: {line}: is shown as it was written"
        for page in pages.values()
        for line in page.unread
    ]
    return links + texts


def _fault(site: Path, page: Page, link: str, pages: dict[Path, Page]) -> str | None:
    """Say why a link does not lead anywhere; None where it does, or leads out of the site.

    Only the page that a server shows for what it does not have names paths from the root.
    """
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return "is loaded from elsewhere" if link in page.loads and parts.scheme != "data" else None
    path = unquote(parts.path)
    if path.startswith("/"):
        target = site / path[1:] if page.path.name == "404.html" else Path(path)
    else:
        target = (page.path.parent / path).resolve() if path else page.path
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "there is no such anchor"
    return None


def main(site: Path) -> int:
    """Print what is wrong, or how much there is."""
    faults = broken(site.resolve())
    for fault in faults:
        print(fault, file=sys.stderr)
    files = [path for path in site.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{site}: {sum(path.suffix == '.html' for path in files)} pages, {size:.1f} MB, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
