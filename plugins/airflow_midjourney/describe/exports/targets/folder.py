"""A local folder, or one that all workers share."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO


#: Bytes of a file that are read at once.
_PART: Final = 256 * 1024

#: Of files that are being written.
_ENDING: Final = ".part"

#: Seconds after which a file that no write has touched belongs to a dead export.
_ABANDONED_AFTER: Final = 24 * 3600


class FolderTarget:
    """Files below a folder.

    :param path: the folder, absolute; it is made when it is not there.
    :raises SettingsError: if it is not absolute.
    """

    def __init__(self, path: str) -> None:
        self._root = Path(path)
        if not self._root.is_absolute():
            raise SettingsError(
                f"target={path!r} is neither s3://bucket/prefix nor an absolute path. A worker's own folder is no place"
                " for an export."
            )

    def location(self, name: str) -> str:
        """Give the path of a file."""
        return str(self._path(name)) if name else str(self._root)

    def put(self, name: str, body: bytes) -> None:
        """Write a small file, at once."""
        with _explained(self._root):
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Write beside the file, and move it into place at the end."""
        path = self._path(name)
        with _explained(self._root):
            path.parent.mkdir(parents=True, exist_ok=True)
            beginning = f".{path.name[:60]}-"
            _remove_abandoned(path.parent, beginning)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=beginning, suffix=_ENDING)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                with _explained(self._root):
                    file.flush()
                    os.fsync(file.fileno())
            with _explained(self._root):
                # mkstemp lets no other user read.
                os.chmod(temporary, 0o666 & ~_umask())
                os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def flush(self) -> None:
        """Have the operating system write down what it holds back: a power cut must not undo what was published."""
        os.sync()

    def read(self, name: str) -> bytes | None:
        """Read a small file."""
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def parts(self, name: str) -> Iterator[bytes]:
        """Read a file, part by part."""
        try:
            with self._path(name).open("rb") as file:
                while part := file.read(_PART):
                    yield part
        except OSError as error:
            raise SettingsError(
                f"The file {self.location(name)!r} cannot be read: {error.strerror or error}. Check the path, its"
                " rights, and that this worker sees it."
            ) from error

    def names(self, below: str) -> Iterator[str]:
        """Name all files below a folder, without following links."""
        for folder, _, files in os.walk(self._path(below)):
            for file in files:
                yield Path(folder, file).relative_to(self._root).as_posix()

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and the folders that become empty by it."""
        for name in names:
            path = self._path(name)
            path.unlink(missing_ok=True)
            with suppress(OSError):
                for parent in path.parents:
                    if parent == self._root:
                        break
                    parent.rmdir()

    def point(self, name: str, folder: str) -> None:
        """Let a symbolic link lead to a folder, from one moment to the next."""
        link, temporary = self._path(name), self._path(f".{name}-{os.getpid()}.part")
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
            os.symlink(folder, temporary)
            os.replace(temporary, link)

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, name: str) -> Path:
        """Give the path of a name; a name that leads out has got past every other check and is a bug.

        :raises ValueError: if it leads out of the folder.
        """
        path = self._root / name
        if ".." in path.parts or not path.is_relative_to(self._root) or "\0" in name:
            raise ValueError(f"{name!r} leads out of the target")
        return path


def _remove_abandoned(folder: Path, beginning: str) -> None:
    """Remove what writers of a file left behind that were killed."""
    for path in folder.iterdir():
        if path.name.startswith(beginning) and path.name.endswith(_ENDING):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                    path.unlink()


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn errors of the file system into ours.

    :raises StorageError: with what to look at.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The export cannot be written to {str(root)!r}: {error.strerror or error}. Check the path, its rights and"
            " the room on its disk; what was published before is as it was.",
            retry_helps=True,
        ) from error


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
