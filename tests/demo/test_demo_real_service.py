"""A real service: its key is never in the clear, and nothing is paid for without a yes."""

from __future__ import annotations

import io
import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from demo.__main__ import main
from demo.environment import isolated, proxies_of
from demo.folder import DemoFolder, FolderError
from demo.interruption import Interruption, StoppedError
from demo.own_photos import answers_folder
from demo.real_service import DeclinedError, RealService, ServiceError, agree, read_service
from demo.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "https://api.example.com"
KEY = {"MIDJOURNEY_KEY": "sk-private"}


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal to type at."""
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        yield master
    os.close(master)


@pytest.fixture
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


def asked(service: RealService, number: int = 300) -> str:
    output = io.StringIO()
    with Interruption() as interruption:
        agree(number, "/pictures", service, Screen(Console(file=output, width=200)), interruption)
    return output.getvalue()


def test_the_key_is_read_from_the_environment_and_never_shown() -> None:
    service = read_service(f" {ADDRESS} ", KEY | {"PRICE": "0.05", "CURRENCY": "EUR"})

    assert service == RealService(ADDRESS, "sk-private", Decimal("0.05"), "EUR", is_agreed=False)
    assert "sk-private" not in repr(service)
    assert "MIDJOURNEY_KEY" not in isolated(KEY | {"PATH": "/bin"})


def test_the_key_is_asked_for_at_a_terminal(keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda question: f" typed at: {question}")

    assert read_service(ADDRESS, {}).key == f"typed at: API key of {ADDRESS} (it is not shown; Enter for none):"


@pytest.mark.usefixtures("_no_terminal")
def test_without_key_and_terminal_nothing_begins() -> None:
    with pytest.raises(ServiceError, match="set MIDJOURNEY_KEY"):
        read_service(ADDRESS, {})


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "http://localhost:1/mj", "http://[::1]:9", ADDRESS])
def test_without_tls_only_this_machine_is_spoken_to(address: str) -> None:
    assert read_service(address, KEY).address == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://api.example.com", "must begin with https://"),
        ("http://127.0.0.1.example.com", "must begin with https://"),
        ("api.example.com", "must begin with https://"),
        ("ftp://api.example.com", "SERVICE"),
        ("https://user:sk-private@api.example.com", "The key belongs in the variable MIDJOURNEY_KEY"),
        ("https://api.example.com?key=sk-private", "SERVICE"),
        ("", "SERVICE is no address"),
        ("https://[", "SERVICE is no address"),
    ],
)
def test_an_address_that_makes_no_sense_or_has_a_key_in_it_is_refused(address: str, said: str) -> None:
    with pytest.raises(ServiceError) as refused:
        read_service(address, KEY)

    assert said in str(refused.value)
    assert "sk-private" not in str(refused.value)


@pytest.mark.parametrize("price", ["0,05", "free", "-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(ServiceError, match=r"write it like 0\.05"):
        read_service(ADDRESS, KEY | {"PRICE": price})


def test_a_yes_is_taken_after_number_and_price_are_named(keyboard: int) -> None:
    os.write(keyboard, b"Yes\n")

    output = asked(read_service(ADDRESS, KEY | {"PRICE": "0.05"}))

    assert f"300 images of /pictures would be sent to {ADDRESS}, at most 15.00 USD at 0.05 each." in output
    assert "cannot be called back" in output


def test_without_a_price_the_range_that_was_seen_is_named(keyboard: int) -> None:
    os.write(keyboard, b"yes\n")

    assert "0.01 to 0.08 USD each: 3.00 to 24.00 USD." in asked(read_service(ADDRESS, KEY))


@pytest.mark.parametrize("answer", [b"\n", b"y\n", b"no\n", b"yes please\n", b"\x04"])
def test_anything_else_is_a_no(keyboard: int, answer: bytes) -> None:
    os.write(keyboard, answer)

    with pytest.raises(DeclinedError):
        asked(read_service(ADDRESS, KEY))


def test_ctrl_c_at_the_question_stops(keyboard: int) -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StoppedError):
            agree(1, "/pictures", read_service(ADDRESS, KEY), Screen(Console(file=io.StringIO())), interruption)


@pytest.mark.usefixtures("_no_terminal")
def test_without_a_terminal_only_an_explicit_variable_says_yes() -> None:
    with pytest.raises(ServiceError, match=r"Nothing was sent: .*PAY=yes"):
        asked(read_service(ADDRESS, KEY))
    with pytest.raises(ServiceError, match="Nothing was sent"):
        asked(read_service(ADDRESS, KEY | {"PAY": "1"}))

    assert "PAY=yes says yes." in asked(read_service(ADDRESS, KEY | {"PAY": "yes"}))


def test_a_gateway_to_the_web_is_kept_for_a_real_service_and_passed_by_for_this_machine() -> None:
    theirs = {"https_proxy": "http://gate:3128", "NO_PROXY": "corp", "PATH": "/bin"}

    ours = isolated(theirs) | proxies_of(theirs)

    assert ours["https_proxy"] == "http://gate:3128"
    assert ours["NO_PROXY"] == ours["no_proxy"] == "corp,127.0.0.1,localhost"


def test_answers_that_were_paid_for_are_outside_the_repository_and_no_demo_removes_them(tmp_path: Path) -> None:
    assert answers_folder({}) == Path.home() / ".local/share/airflow-provider-midjourney"
    assert answers_folder({"XDG_DATA_HOME": "relative"}) == answers_folder({})
    kept = answers_folder({"XDG_DATA_HOME": str(tmp_path / "data")})
    folder = DemoFolder(tmp_path / ".demo", kept)
    with folder.locked():
        folder.table.write_text("paid")
        with pytest.raises(FolderError, match="paid for"):
            folder.forget_table()

    assert folder.table == kept / "image_prompts.sqlite"
    assert folder.table.read_text() == "paid"
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--service", ADDRESS], "SERVICE and EXPORT are for a folder of your own"),
        (["--export", "kohya"], "SERVICE and EXPORT are for a folder of your own"),
        (["--photos", ".", "--export", "csv"], "EXPORT=csv is not known here; EXPORT=kohya is."),
        (["--photos", "/no/where"], "There is no folder /no/where."),
    ],
)
def test_what_makes_no_sense_is_a_plain_sentence_before_anything_starts(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--folder", str(tmp_path / ".demo"), *options]) == 1

    output = capsys.readouterr().err
    assert output.startswith(f"demo: {said}")
    assert not (tmp_path / ".demo").exists()
