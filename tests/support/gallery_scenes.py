"""Photographs with prompts and without, as a person finds them in the gallery: real objects in S3, and their rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.prompts import parse_prompts
from airflow_midjourney.describe.table import accounts, batches, leases, results
from demo.photos import make_images
from tests.support import rows
from tests.support.batch_scenes import HOSTILE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.results import InFlight

#: An account whose price is known.
PRICED: Final = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")

#: Four prompts for each photograph of the demo that is described here.
PROMPTS: Final = {
    "astronaut.png": "portrait of an astronaut in an orange suit before a flag, studio light",
    "camera.jpg": "man in a dark coat bent over a film camera on a tripod, grainy monochrome",
    "cat.jpg": "ginger cat looking past the viewer, soft window light, shallow depth of field",
    "coffee.webp": "cup of espresso on a wooden table, steam, warm brown tones, a spoon beside it",
    "galaxies.jpg": "deep field of a thousand galaxies, red and blue points on black, long exposure",
    "moon.png": "cratered surface of the moon under low sun, black and white, hard shadows",
    "rocket.jpg": "rocket on its pad at dawn between four lightning masts, lake in the foreground",
}

_TURNS: Final = (
    "",
    ", in the style of a 1970s magazine",
    ", wide shot, muted palette",
    ", as a fine-grained lithograph",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see.

    :param described: rows by the name of the photograph.
    """

    bucket: str
    described: dict[str, int]


def answer(subject: str) -> str:
    """Give an answer of the service, with a subject in four turns."""
    return "\n\n".join(f"{number}️⃣ {subject}{turn} --ar 3:2" for number, turn in enumerate(_TURNS, start=1))


@cache
def photographs() -> dict[str, bytes]:
    """Give the objects of the demo by their names; they take a second to make."""
    return {photo.name: photo.body for photo in make_images()}


def set_the_scene(database: Database, s3: S3Client, bucket: str) -> Scene:
    """Put the photographs of the demo into a bucket, and their rows into the table.

    The DAG ``product_photos`` has described seven, and could not send three. ``archive`` had bad luck with some.
    """
    photos = photographs()
    with database.writing() as tx:
        products = _open(tx, bucket, "products/2026-11/", "product_photos")
        stored = [_store(s3, bucket, f"products/2026-11/{name}", photos[name]) for name in sorted(photos)]
        rows.list_images(tx, stored, batch=products)
        described = {}
        for image in stored:
            name = image.key.rpartition("/")[2]
            sent = _send_or_reject(tx, products, name)
            if sent is not None:
                _describe(tx, sent, PROMPTS[name])
                described[name] = sent.id
    with database.writing() as tx:
        archive = _open(tx, bucket, "archive/1994/", "archive", "manual__by hand")
        _fail_some(tx, archive, [_store(s3, bucket, f"archive/1994/{name}", photos[name]) for name in sorted(PROMPTS)])
        _store_hostile(tx, s3, bucket, photos["moon.png"])
    return Scene(bucket, described)


def _open(tx: Transaction, bucket: str, prefix: str, dag_id: str, run_id: str = "scheduled__2026-11-26") -> Batch:
    accounts.ensure_account(tx, PRICED)
    return batches.open_batch(tx, Scope(bucket, (prefix,)), BatchOptions(), Origin(dag_id, run_id, "submit"))


def _store(s3: S3Client, bucket: str, key: str, body: bytes) -> ListedImage:
    etag = s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"].strip('"')
    return replace(rows.listed(key, etag), bucket=bucket, size_bytes=len(body))


def _send_or_reject(tx: Transaction, batch: Batch, name: str) -> InFlight | None:
    """Send the next image, unless it cannot be sent."""
    cannot = {"cut-off.jpg": Reason.CORRUPT, "empty.jpg": Reason.EMPTY, "notes.jpg": Reason.UNSUPPORTED_FORMAT}
    if name in PROMPTS:
        return rows.submit_next(tx, batch, task_id=f"17640{name}", body=f"{batch.batch_id} {name}", account=PRICED)
    (row,) = leases.reserve(tx, batch, "holder", 1)
    # The others stay reserved while those after them are sent.
    if name in cannot:
        leases.reject(tx, row.id, "holder", cannot[name], "The content is none of the formats that are read.", "1")
    return None


def _describe(tx: Transaction, sent: InFlight, subject: str) -> None:
    raw = answer(subject)
    prompts = parse_prompts(raw)
    assert prompts is not None
    rows.described(tx, sent, prompts, raw, results.RemoteTimes())
    rows.set_columns(tx, sent.id, width=1500, height=1000)


def _fail_some(tx: Transaction, batch: Batch, images: list[ListedImage]) -> None:
    rows.list_images(tx, images, batch=batch)
    why = [
        (Reason.SERVICE_ERROR, "Upload failed: the account behind the service was logged out."),
        (Reason.SERVICE_ERROR, "Upload failed: the account behind the service was logged out."),
        (Reason.SERVICE_ERROR, "Captcha: a person has to solve it."),
        (Reason.BANNED, "Banned prompt detected."),
        (Reason.TIMEOUT, "No answer in 30 minutes."),
    ]
    for number, (reason, detail) in enumerate(why):
        sent = rows.submit_next(tx, batch, task_id=f"9{number}", body=f"archive {number}", account=PRICED)
        tx.connection.execute(tx.tables.images.update().where(tx.tables.images.c.id == sent.id).values(max_attempts=1))
        results.ended(tx, sent, reason, detail, results.RemoteTimes(), "")
    doubtful = rows.submit_next(tx, batch, task_id="doubt", body="archive doubt", account=PRICED)
    told = "The submission had no answer in time: it may have been taken and billed."
    rows.set_columns(tx, doubtful.id, status="in_doubt", detail=told, ended_at=tx.now)


def _store_hostile(tx: Transaction, s3: S3Client, bucket: str, body: bytes) -> None:
    """Describe an image whose key and prompts are an attack."""
    batch = _open(tx, bucket, "uploads/", "uploads")
    image = _store(s3, bucket, f"uploads/{HOSTILE}.png", body)
    rows.list_images(tx, [image], batch=batch)
    sent = rows.submit_next(tx, batch, task_id="evil", body="evil", account=PRICED)
    _describe(tx, sent, f"{HOSTILE} <img src=x onerror=alert(1)>")
