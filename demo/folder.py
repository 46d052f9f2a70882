"""The folder that holds all that a demo makes."""

from __future__ import annotations

import contextlib
import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK: Final = ".airflow-midjourney-demo"

#: They mean something in Airflow's settings and in database URLs.
_NOT_IN_A_PATH: Final = "%?#"


class FolderError(Exception):
    """The folder cannot be used."""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where things are; no path is used before :meth:`locked`.

    :param path: absolute.
    :param kept: another folder for the metadata table, where its answers were paid for: no demo removes that one.
    """

    path: Path
    kept: Path | None = None

    @property
    def table(self) -> Path:
        """The SQLite file with the metadata table."""
        return (self.kept or self.path) / "image_prompts.sqlite"

    @property
    def way_out(self) -> str:
        """What to do after a run that failed."""
        if self.kept is not None:
            return "Run it again when the cause is mended: paid answers are kept, and nothing is paid for twice."
        return f"To start afresh, remove {shown(self.path)}."

    @property
    def photos(self) -> Path:
        """The images, as files to look at."""
        return self.path / "photos"

    @property
    def airflow_home(self) -> Path:
        """Airflow's home."""
        return self.path / "airflow"

    @property
    def airflow_log(self) -> Path:
        """All that Airflow says."""
        return self.path / "airflow.log"

    def log_of(self, service: str) -> Path:
        """Give the file with the output of a service."""
        return self.path / f"{service}.log"

    def address_of(self, service: str) -> Path:
        """Give the file into which a service writes its URL once it listens."""
        return self.path / f"{service}.url"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep it for this process.

        :raises FolderError: if it holds something else, another demo runs in it, or it cannot be written.
        """
        for path in filter(None, (self.path, self.kept)):
            if harmful := [character for character in _NOT_IN_A_PATH if character in str(path)]:
                raise FolderError(f"Airflow cannot live in {path} because of the {harmful[0]}: use another --folder.")
        mark = self.path / _MARK
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not mark.exists() and any(self.path.iterdir()):
                raise FolderError(f"{shown(self.path)} holds files that no demo made; give --folder another one.")
            opened = mark.open("a")
        except OSError as error:
            raise FolderError(f"{shown(self.path)} cannot be used: {error.strerror or error}.") from error
        with opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise FolderError(f"Another demo is running in {shown(self.path)}: let it end, or stop it.") from error
            self.airflow_home.mkdir(exist_ok=True)
            self.photos.mkdir(exist_ok=True)
            self._make_kept()
            yield

    def _make_kept(self) -> None:
        if self.kept is None:
            return
        try:
            self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise FolderError(f"{self.kept} cannot be made: {error.strerror or error}.") from error

    def forget_table(self) -> None:
        """Remove the metadata table, which holds the simulator's answers alone.

        :raises FolderError: if they were paid for.
        """
        if self.kept is not None:
            raise FolderError(f"{self.table} holds answers that were paid for: it stays.")
        for ending in ("", "-wal", "-shm", "-journal"):
            self.table.with_name(self.table.name + ending).unlink(missing_ok=True)


def shown(path: Path) -> str:
    """Give a path as a person would type it here."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
