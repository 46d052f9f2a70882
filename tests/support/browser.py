"""Fixtures: a real browser in front of Airflow's API server. A conftest takes them by importing them.

.. code-block:: python

    def test_something(open_page, table):
        page = open_page("midjourney/batches", dark=True, width=400)
        page.get_by_role("link", name="Batches").click()

Whatever the browser complains about while a test runs (errors, refused loads, violations of the policy) fails it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.album import note_menu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from playwright.sync_api import Browser, Page
    from starlette.types import ASGIApp

__all__ = ["browser", "complaints", "open_page", "picture", "server_url"]

CHROMIUM: Final = Path("/usr/bin/chromium")

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Where pictures are kept instead of in a folder that goes with the test.
PICTURES: Final = "SCREENSHOTS"

_LIMIT_MS: Final = 60_000


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an app on a free port: gives its address, with a slash at its end."""
    import uvicorn

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def server_url(airflow_app: FastAPI) -> Iterator[str]:
    """The address of Airflow's own server, with a slash at its end."""
    with served(airflow_app) as url:
        yield url


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start Debian's Chromium, without a window; it keeps an event loop running in this process."""
    if not CHROMIUM.exists():
        told = f"there is no {CHROMIUM}: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_LIMIT_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(_ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests of a process, in which no other test can run an event loop."""
    with started_browser() as started:
        yield started


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers complained of; a test that expects something takes it out of the list."""
    heard: list[str] = []
    yield heard
    assert not heard, heard


@pytest.fixture
def open_page(
    browser: Browser, server_url: str, log_in: Callable[..., str], complaints: list[str]
) -> Iterator[Callable[..., Page]]:
    """Open an address below Airflow's own, as a user: ``open_page("midjourney/batches", role="viewer", dark=True)``.

    Each call is a browser of its own, with its cookies; further pages are opened with ``page.goto``.
    """
    contexts = []

    def opened(
        address: str,
        *,
        role: str | None = "admin",
        name: str = "somebody",
        dark: bool = False,
        scripts: bool = True,
        width: int = 1280,
        height: int = 860,
    ) -> Page:
        context = browser.new_context(
            base_url=server_url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(_LIMIT_MS)
        context.add_cookies([{"name": "_token", "value": log_in(role, name), "url": server_url}])
        page = context.new_page()
        _listen(page, complaints)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Take a picture: ``picture(page, "batches-dark")``.

    ``make screenshots`` takes those anew that are in ``docs/images``, and notes beside them which menu they show.
    """
    album = Path(os.environ[PICTURES]) if os.environ.get(PICTURES) else None

    def taken(page: Page, name: str, *, whole: bool = False) -> Path:
        kept = album is not None and (album / f"{name}.png").exists()
        path = (album if kept and album is not None else tmp_path) / f"{name}.png"
        page.screenshot(path=path, full_page=whole)
        if kept:
            note_menu(path, _menu_of(page))
        return path

    return taken


def _menu_of(page: Page) -> list[str]:
    """Give the words of our own menu; in Airflow's UI it is in a frame."""
    menus = [frame.locator("nav[aria-label=Pages] a").all_inner_texts() for frame in page.frames]
    return next(menu for menu in menus if menu)


def _listen(page: Page, heard: list[str]) -> None:
    def on_console(message: Any) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            heard.append(f"console: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: heard.append(f"script: {error}"))
