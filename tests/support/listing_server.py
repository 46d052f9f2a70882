"""A small S3 server that lists as badly as a test asks for, over HTTP, for real boto3 clients."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class ListingServer:
    """What the server holds, and how it behaves.

    :param keys: in the order of the server.
    :param start_after: lists ``greater`` keys in its own order, what is ``behind`` the key's place, from the key's
        place on (``inclusive``), or has it ``ignored`` or ``refused``.
    :param continuation: ``works``, is ``inclusive``, never given (``none``), ``refused``, ``ignored``, or the same one
        each time (``constant``).
    :param truncated: whether pages say so as they should, ``always``, ``never_said``, or with one page of nothing
        between (``empty_between``), or only such pages (``empty``).
    :param root: the name of the root element of listings.
    :param answer: a whole body to give in place of listings.
    :param weak: HEAD gives weak ETags.
    :param reads: status, code and message of reads of a key; ``*`` for all.
    :param heads: statuses of HEAD for a key.
    :param conditional_reads_only: whether ``reads`` concern only those with If-Match.
    :param drips: seconds before each byte of the object of a key; of listings, for the empty key.
    :param slow_heads: as ``drips``, before each byte of a further header that belongs to the answer.
    :param lists: parameters of the listings that were asked for; it grows.
    :param read: keys that were read; it grows.
    """

    keys: list[str]
    page_size: int = 4
    start_after: Literal["greater", "behind", "inclusive", "ignored", "refused"] = "behind"
    continuation: Literal["works", "inclusive", "none", "refused", "ignored", "constant"] = "works"
    truncated: Literal["said", "always", "never_said", "empty_between", "empty"] = "said"
    encoded: bool = True
    key_count: int | None = None
    extra: str = ""
    root: str = "ListBucketResult"
    answer: bytes | None = None
    weak: bool = False
    reads: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    conditional_reads_only: bool = False
    drips: dict[str, float] = field(default_factory=dict)
    slow_heads: dict[str, float] = field(default_factory=dict)
    lists: list[dict[str, str]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    url: str = ""

    def body_of(self, key: str) -> bytes:
        """Give the object of a key: an image of its own."""
        return jpeg(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:3]), size=16)

    def etag_of(self, key: str) -> str:
        """Give its ETag, without quotes."""
        return hashlib.sha256(self.body_of(key)).hexdigest()[:32]

    def list(self, asked: dict[str, str]) -> bytes | None:
        """Answer a listing; None to refuse it."""
        self.lists.append(asked)
        if self.answer is not None:
            return self.answer
        keys = [key for key in self.keys if key.startswith(asked.get("prefix", ""))]
        start = self._start(keys, asked)
        if start is None:
            return None
        # A listing that began after a key goes on so, as its token remembers.
        began = asked.get("start-after") or unquote(asked.get("continuation-token", "").partition("~")[2])
        if self.start_after == "greater" and began:
            keys = [key for key in keys if key > began]
        page = keys[start : start + self.page_size]
        if self.truncated == "empty" or (self.truncated == "empty_between" and len(self.lists) % 2 == 0):
            page = []
        end = start + len(page)
        return self._page(page, end, end < len(keys), began)

    def _start(self, keys: list[str], asked: dict[str, str]) -> int | None:
        if token := asked.get("continuation-token"):
            if self.continuation == "refused":
                return None
            place = 0 if self.continuation in ("ignored", "constant") else int(token.partition("-")[0])
            return max(0, place - 1) if self.continuation == "inclusive" else place
        after = asked.get("start-after")
        if not after or self.start_after in ("ignored", "greater"):
            return 0
        if self.start_after == "refused":
            return None
        if after not in keys:
            return sum(key <= after for key in keys)
        return keys.index(after) + (self.start_after == "behind")

    def _page(self, page: list[str], end: int, more: bool, began: str) -> bytes:
        more = more or self.truncated in ("always", "empty")
        parts = [f'<?xml version="1.0" encoding="UTF-8"?><{self.root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">']
        if self.encoded:
            parts.append("<EncodingType>url</EncodingType>")
        if self.truncated != "never_said":
            parts.append(f"<IsTruncated>{str(more).lower()}</IsTruncated>")
        if more and self.continuation != "none":
            token = "1-same" if self.continuation == "constant" else f"{end}-{len(self.lists)}~{quote(began, safe='')}"
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        parts.append(f"<KeyCount>{len(page) if self.key_count is None else self.key_count}</KeyCount>{self.extra}")
        for key in page:
            name = quote(key, safe="/") if self.encoded else escape(key)
            size = 0 if key.endswith("/") else len(self.body_of(key))
            parts.append(
                f"<Contents><Key>{name}</Key><ETag>&quot;{self.etag_of(key)}&quot;</ETag><Size>{size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            )
        return "".join([*parts, f"</{self.root}>"]).encode("utf-8", "surrogatepass")


@contextmanager
def running(server: ListingServer) -> Iterator[ListingServer]:
    """Serve until the block ends; the server's ``url`` says where."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(server: ListingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        about = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    about: ListingServer

    def do_GET(self) -> None:
        if key := self._key():
            self._give_object(key)
            return
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = self.about.list(asked)
        if body is None:
            self._refuse(400, "InvalidArgument", "no")
        else:
            self._say(200, body, self.about.drips.get(""))

    def _give_object(self, key: str) -> None:
        server, wanted = self.about, self.headers.get("If-Match")
        server.read.append(key)
        tag = f'"{server.etag_of(key)}"'
        fault = server.reads.get(key) or server.reads.get("*")
        if fault is not None and (wanted is not None or not server.conditional_reads_only):
            self._refuse(*fault)
        elif wanted not in (None, tag):
            self._refuse(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        else:
            self._say(200, server.body_of(key), server.drips.get(key), ETag=tag)

    def do_HEAD(self) -> None:
        server, key = self.about, self._key()
        known = 200 if not key or key in server.keys else 404
        status = server.heads.get(key) or known
        if status != 200:
            self._say(status, b"")
            return
        tag = f'"{server.etag_of(key)}"'
        self._say(200, server.body_of(key), ETag=f"W/{tag}" if server.weak else tag)

    def _key(self) -> str:
        path = unquote(urlsplit(self.path).path, "utf-8", "surrogatepass")
        return path.removeprefix("/").partition("/")[2]

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._say(
            status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        )

    def _say(self, status: int, body: bytes, drip: float | None = None, **headers: str) -> None:
        self.send_response(status)
        usual = {"Content-Length": str(len(body)), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in (usual | headers).items():
            self.send_header(name, value)
        if (slow := self.about.slow_heads.get(self._key())) is not None:
            self._drip_a_header(slow)
        self.end_headers()
        if self.command != "HEAD":
            for piece in [body] if drip is None else (body[at : at + 1] for at in range(len(body))):
                time.sleep(drip or 0)
                self.wfile.write(piece)

    def _drip_a_header(self, seconds: float) -> None:
        self.flush_headers()
        for letter in b"X-Story: " + b"la" * 300 + b"\r\n":
            time.sleep(seconds)
            self.wfile.write(bytes([letter]))

    def handle_one_request(self) -> None:
        """Be quiet when a client has broken off."""
        with suppress(ConnectionError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
