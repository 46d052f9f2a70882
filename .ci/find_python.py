"""Print the path of an interpreter of a version: one on the path, or one of pyenv's. Exits 1 where there is none."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def candidates(version: str) -> Iterator[str]:
    """Give where an interpreter of that version may be; a shim of pyenv may be on the path and not work."""
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        # pyenv is often run from its own folder, whatever HOME is.
        for folder in (Path(root), Path(pyenv).resolve().parents[1]):
            yield from map(str, sorted(folder.glob(f"versions/{version}.*/bin/python"), reverse=True))


def works(python: str) -> bool:
    """Say whether it starts."""
    return subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0


found = next((python for python in candidates(sys.argv[1]) if works(python)), None)
if found is None:
    sys.exit(1)
print(found)
