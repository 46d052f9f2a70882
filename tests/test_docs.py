"""The documents, in the repository and on the site: each is in the menu, and each link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import yaml

from docsite.check import broken

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DOCS: Final = sorted((REPOSITORY / "docs").rglob("*.md"))
OTHERS: Final = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]

#: Classes that DAGs and Airflow name.
NAMED: Final = re.compile(r"^class (\w+(?:Operator|Sensor|Trigger|Hook|Link))\b", re.MULTILINE)


class _Settings(yaml.SafeLoader):
    """Reads mkdocs.yml, which names a function of Python."""


_Settings.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def settings() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Settings)
    return loaded


def named_in_the_menu(menu: Any) -> list[str]:
    if isinstance(menu, str):
        return [menu]
    below = menu.values() if isinstance(menu, dict) else menu
    return [path for one in below for path in named_in_the_menu(one)]


def without_code(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Give the anchors of the headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", one) for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def dead_links(page: Path) -> list[str]:
    found = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", without_code(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def test_every_document_is_in_the_menu_once() -> None:
    named = named_in_the_menu(settings()["nav"])

    assert sorted(named) == sorted(str(path.relative_to(REPOSITORY)) for path in [*DOCS, *OTHERS])


@pytest.mark.parametrize("page", [*DOCS, *OTHERS], ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_of_a_document_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n## In doubt: what?\n\n[a](#in-doubt-what) [b](#nothing) [c](other.md) `[d](code.md)`\n"
    )

    assert dead_links(page) == ["#nothing", "other.md"]


def test_every_class_that_dags_name_is_in_the_reference() -> None:
    plugins = REPOSITORY / "plugins"
    rooms = [plugins / "airflow_midjourney" / room for room in ("operators", "sensors", "triggers", "hooks")]
    there = {
        f"{'.'.join(path.relative_to(plugins).with_suffix('').parts)}.{name}"
        for path in [plugins / "airflow_midjourney" / "links.py", *(one for room in rooms for one in room.glob("*.py"))]
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    told = {
        name
        for page in (REPOSITORY / "docs" / "reference").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert there
    assert there - told == set()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text('<h1 id="top">T</h1><a href="sub/page.html#here">a</a><img src="data:,">')
    (tmp_path / "sub" / "page.html").write_text(
        '<h2 id="here">H</h2><a href="../index.html">b</a><a href="#here">c</a>'
    )
    (tmp_path / "404.html").write_text('<a href="/index.html#top">home</a>')
    return tmp_path


def test_a_whole_site_has_no_broken_link(site: Path) -> None:
    assert broken(site) == []


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ('<a href="index.html#nothing">', "index.html#nothing: there is no such anchor"),
        ('<a href="none.html">', "none.html: there is no such file"),
        ('<a href="/index.html">', "/index.html: there is no such file"),
        ('<img src="images/none.png">', "images/none.png: there is no such file"),
        ('<script src="https://cdn.example.com/a.js">', "https://cdn.example.com/a.js: is loaded from elsewhere"),
        ('<link rel="stylesheet" href="//fonts.example.com">', "//fonts.example.com: is loaded from elsewhere"),
    ],
)
def test_a_broken_link_of_the_site_is_found(site: Path, link: str, fault: str) -> None:
    (site / "other.html").write_text(link)

    assert broken(site) == [f"other.html: {fault}"]


@pytest.mark.parametrize("line", ["```bash run", "- an item", "2. a second one", ".. note:: a word"])
def test_markdown_that_was_not_understood_is_found(site: Path, line: str) -> None:
    (site / "other.html").write_text(f"<p>Text:<br>\n{line}</p><h2>2. A heading</h2><p><code>- code</code></p>")

    assert broken(site) == [f"other.html: {line}: is shown as it was written"]


def test_a_link_that_people_follow_out_of_the_site_is_none_of_ours(site: Path) -> None:
    (site / "other.html").write_text('<a href="https://example.com/">elsewhere</a>')

    assert broken(site) == []
