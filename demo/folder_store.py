"""``python -m demo.folder_store``: an S3 server that shows one folder as a bucket to read; nothing is copied."""

from __future__ import annotations

import argparse
import os
import re
import socket
from bisect import bisect_right
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from airflow_midjourney.testing.simulator.serving import AnnouncingServer
from demo.photo_folder import PhotoFile, PhotoFolder
from demo.pictures import LOGIN_VARIABLE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

_LOGIN: Final = re.compile(r"Credential=([^/]+)/")

_MOST_KEYS: Final = 1000


class FolderStore:
    """What S3 says about one folder: its keys in their order, and the bytes as they are in the files.

    :param login: the access key id that requests have to be signed with; the signature itself is not checked.
    """

    def __init__(self, photos: PhotoFolder, login: str) -> None:
        self._photos = photos
        self._pictures = photos.pictures
        self._login = login
        self._listed: list[PhotoFile] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; files are read beside the event loop."""
        response = await run_in_threadpool(self.answer, Request(scope))
        await response(scope, receive, send)

    def answer(self, request: Request) -> Response:
        """Give the answer to a request."""
        login = _LOGIN.search(request.headers.get("authorization", ""))
        bucket, _, key = str(request.scope["path"]).removeprefix("/").partition("/")
        if login is None or login[1] != self._login:
            return _refused(HTTPStatus.FORBIDDEN, "InvalidAccessKeyId", "The pictures are for the demo that runs here.")
        if bucket != self._pictures.bucket:
            return _refused(HTTPStatus.NOT_FOUND, "NoSuchBucket", "There is the bucket of one folder alone.")
        if request.method not in ("GET", "HEAD"):
            return _refused(HTTPStatus.FORBIDDEN, "AccessDenied", "This server shows a folder and writes nothing.")
        if key:
            return self._object(request, key)
        return Response() if request.method == "HEAD" else self._page(request)

    def _object(self, request: Request, key: str) -> Response:
        file = self._photos.find(self._pictures.name(key)) if key.startswith(self._pictures.prefix) else None
        if file is None:
            return _refused(HTTPStatus.NOT_FOUND, "NoSuchKey", "There is no such file.")
        if request.headers.get("if-match", file.etag).strip('"') != file.etag:
            return _refused(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", "The file has changed.")
        if not os.access(file.path, os.R_OK):
            return _refused(HTTPStatus.FORBIDDEN, "AccessDenied", "The file may not be read.")
        modified = format_datetime(_modified(file), usegmt=True)
        return FileResponse(file.path, headers={"ETag": f'"{file.etag}"', "Last-Modified": modified})

    def _page(self, request: Request) -> Response:
        """Give a page of keys; the first page of a listing looks at the folder anew."""
        asked = request.query_params
        goes_on = asked.get("continuation-token", "")
        if not goes_on or not self._listed:
            self._listed = self._photos.contents().files
        prefix, most = asked.get("prefix", ""), min(int(asked.get("max-keys", _MOST_KEYS)), _MOST_KEYS)
        keys = [f"{self._pictures.prefix}{file.name}" for file in self._listed]
        start = bisect_right(keys, (goes_on or asked.get("start-after", "")).encode(), key=str.encode)
        wanted = [at for at in range(start, len(keys)) if keys[at].startswith(prefix)][: most + 1]
        root = Element("ListBucketResult", xmlns=_NAMESPACE)
        for at in wanted[:most]:
            _add_entry(root, keys[at], self._listed[at])
        facts = {"Name": self._pictures.bucket, "Prefix": quote(prefix), "EncodingType": "url", "MaxKeys": str(most)}
        if len(wanted) > most:
            facts |= {"IsTruncated": "true", "NextContinuationToken": keys[wanted[most - 1]]}
        else:
            facts |= {"IsTruncated": "false"}
        for name, text in facts.items():
            SubElement(root, name).text = text
        return Response(tostring(root), media_type="application/xml")


def _add_entry(root: Element, key: str, file: PhotoFile) -> None:
    entry = SubElement(root, "Contents")
    SubElement(entry, "Key").text = quote(key)
    SubElement(entry, "LastModified").text = _modified(file).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    SubElement(entry, "ETag").text = f'"{file.etag}"'
    SubElement(entry, "Size").text = str(file.size)
    SubElement(entry, "StorageClass").text = "STANDARD"


def _modified(file: PhotoFile) -> datetime:
    return datetime.fromtimestamp(file.modified_ns // 10**9, UTC)


def _refused(status: HTTPStatus, code: str, message: str) -> Response:
    root = Element("Error")
    SubElement(root, "Code").text = code
    SubElement(root, "Message").text = message
    return Response(tostring(root), status_code=status, media_type="application/xml")


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="demo.folder_store", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder to show, absolute")
    parser.add_argument("--ready-file", type=Path, required=True, help="gets the URL once the server listens")
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}\n"

    def announce() -> None:
        beside = given.ready_file.with_name(f".{given.ready_file.name}")
        beside.write_text(url, encoding="utf-8")
        beside.replace(given.ready_file)

    store = FolderStore(PhotoFolder(given.folder), os.environ[LOGIN_VARIABLE])
    config = uvicorn.Config(store, log_level="warning", access_log=False, lifespan="off")
    AnnouncingServer(config, announce).run(sockets=[listener])


if __name__ == "__main__":
    main()
