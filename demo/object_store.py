"""``python -m demo.object_store``: an S3 server in the foreground, on a free port of this machine."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from moto.server import ThreadedMotoServer


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="demo.object_store", description=__doc__)
    parser.add_argument("--ready-file", type=Path, required=True, help="gets the URL once the server listens")
    ready_file: Path = parser.parse_args().ready_file
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    beside = ready_file.with_name(f".{ready_file.name}")
    beside.write_text(f"http://{host}:{port}\n", encoding="utf-8")
    beside.replace(ready_file)
    signal.pause()


if __name__ == "__main__":
    main()
