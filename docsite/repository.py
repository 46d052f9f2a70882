"""Files from outside ``docs/`` as pages of the site, so that a link leads to the same on the site as in the repository.

A hook of MkDocs: ``mkdocs.yml`` names this file. There, too, each page is named by its path in the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

REPOSITORY: Final = Path(__file__).resolve().parents[1]

#: How the code of a file is coloured, by the ending of its name.
LANGUAGES: Final = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".md": "markdown"}

_RUN: Final = re.compile(r"^(?P<language>```\w+) run$", re.MULTILINE)

_NAMED: Final = re.compile(r"`(?P<path>(?:docs|dags)/[\w/]+\.(?:md|py)|[A-Z]+\.md)`")


class RepositoryFile(File):
    """A page that shows a file of code, or what a folder holds. Links name it by its path in the repository."""

    def is_documentation_page(self) -> bool:
        """Say that it is a page, whatever its name ends in."""
        return True

    @property
    def content_string(self) -> str:
        """Give the page in Markdown; it is not searched, since code would crowd out what explains it."""
        path = REPOSITORY / self.src_uri
        body = _listing(path) if path.is_dir() else _code(path)
        return f"---\nsearch: {{exclude: true}}\nhide: [navigation, toc]\n---\n# {self.src_uri}\n\n{body}\n"


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let a snippet that tests run by itself be code like any other, and files that the README names be links.

    It has none of its own, since PyPI shows it without the files.
    """
    if page.file.src_uri == "README.md":
        markdown = _NAMED.sub(r"[\g<0>](\g<path>)", markdown)
    return _RUN.sub(r"\g<language>", markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Name all pages by their paths in the repository, and add the files outside ``docs/`` that they link to."""
    found = [_named_anew(file, config) for file in files]
    found += [
        File(path, str(REPOSITORY), config.site_dir, False, dest_uri=f"{Path(path).stem.lower()}.html")
        for path in config.extra["repository"]["pages"]
    ]
    found += [_repository_file(path, config) for path in _matching(config.extra["repository"]["files"])]
    return Files(found)


def _named_anew(file: File, config: MkDocsConfig) -> File:
    """Give a file of ``docs/`` its path in the repository, and leave those of the theme."""
    if file.src_dir != config.docs_dir:
        return file
    path = Path(config.docs_dir, file.src_uri).relative_to(REPOSITORY).as_posix()
    return File(path, str(REPOSITORY), config.site_dir, False, dest_uri=file.dest_uri)


def _repository_file(path: str, config: MkDocsConfig) -> RepositoryFile:
    return RepositoryFile(
        path,
        str(REPOSITORY),
        config.site_dir,
        False,
        dest_uri=f"repository/{path}.html",
        inclusion=InclusionLevel.NOT_IN_NAV,
    )


def _matching(patterns: list[str]) -> list[str]:
    return sorted({path.relative_to(REPOSITORY).as_posix() for one in patterns for path in REPOSITORY.glob(one)})


def _code(path: Path) -> str:
    return f"```{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _listing(folder: Path) -> str:
    return "\n".join(f"- [{path.name}]({folder.name}/{path.name})" for path in sorted(folder.iterdir()))
