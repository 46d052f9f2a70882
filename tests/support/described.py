"""Described images in the table, put there without a service; and exports of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.exports.collisions import read_on_collision
from airflow_midjourney.describe.exports.export import ExportPlan, export
from airflow_midjourney.describe.exports.format import load_format
from airflow_midjourney.describe.exports.publication import publishing
from airflow_midjourney.describe.exports.report import ExportReport
from airflow_midjourney.describe.exports.selection import Choice, read_prompt
from airflow_midjourney.describe.exports.splits import read_splits
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.queries.rows import Wanted
from airflow_midjourney.describe.service.prompts import PARSER_VERSION
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.storage.objects import ImageStore
    from airflow_midjourney.describe.table.database import Database

BUCKET = "photos"
WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROMPTS = ("a red boat on a lake", "boat, watercolour", "the lake at dawn with a small red boat", "still water")

#: Keys that file systems, shells, globs and readers of formats take for something else.
NASTY_KEYS = [
    "in/plain.jpg",
    "in/../../out.jpg",
    "in/a'; drop table--<script>.jpg",
    "in/C:\\windows\\x.jpg",
    "in//double.jpg",
    "in/.hidden.jpg",
    "in/__private/x.jpg",
    "in/tést ünïcode 🚤.jpg",
    "in/star*[a]?.jpg",
    "in/test/validation.jpg",
    "in/train-val/x.jpg",
    "in/line\u2028break.jpg",
    "in/100%.jpg",
    "in/con.jpg",
    "in/no-ending",
    "in/trailing./x .jpg",
    "in/zip://x::file.jpg",
    "in/" + "long" * 80 + ".jpg",
]


def described(key: str, prompts: Iterable[str] = PROMPTS, **values: Any) -> dict[str, Any]:
    """Give the columns of a row that has its prompts; bytes of its own unless ``body`` says otherwise."""
    body = str(values.pop("body", key))
    texts = dict(zip(("prompt_1", "prompt_2", "prompt_3", "prompt_4"), prompts, strict=False))
    etag = hashlib.md5(body.encode()).hexdigest()
    return {
        "image_uri": f"s3://{values.get('bucket', BUCKET)}/{key}",
        "bucket": BUCKET,
        "key": key,
        "image_version": etag,
        "etag": etag,
        "is_current": True,
        "size_bytes": 1000,
        "last_modified": WHEN,
        "storage_class": "STANDARD",
        "content_sha256": hashlib.sha256(body.encode()).hexdigest(),
        "media_type": "image/jpeg",
        "width": 640,
        "height": 480,
        "bot_type": "MID_JOURNEY",
        "status": "succeeded",
        "attempts": 1,
        "max_attempts": 2,
        "prompt_1": None,
        "prompt_2": None,
        "prompt_3": None,
        "prompt_4": None,
        "prompt_count": len(texts),
        "prompt_raw": "\n".join(texts.values()),
        "aspect_ratio": "4:3",
        "parser_version": PARSER_VERSION,
        "reason": None,
        "detail": None,
        "price": None,
        "currency": None,
        "ended_at": WHEN,
        "created_at": WHEN,
        "updated_at": WHEN,
        "reservations": 0,
        "silence_before": 0.0,
        "silence_before_missing": 0.0,
        **texts,
        **values,
    }


def failed(key: str, reason: str = "banned", **values: Any) -> dict[str, Any]:
    """Give the columns of a row that has no prompts."""
    facts = {"status": "failed", "reason": reason, "detail": "no", "prompt_raw": None, "parser_version": None}
    return described(key, (), **{**facts, **values})


def fill(database: Database, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows into the table."""
    with database.writing() as tx:
        tx.connection.execute(tx.tables.images.insert(), [dict(row) for row in rows])


def store_nasty_keys(database: Database, s3: S3Client, bucket: str) -> list[dict[str, Any]]:
    """Put pictures into S3 and rows into the table, and give the rows in the order of their keys."""
    rows = []
    for number, key in enumerate(NASTY_KEYS):
        etag = s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number, size=16))["ETag"].strip('"')
        prompts = (f'={number}+1 boats, "quoted"\u2028 and {{braces}}', *PROMPTS[1:])
        rows.append(described(key, prompts, bucket=bucket, image_version=etag, etag=etag))
    fill(database, rows)
    return sorted(rows, key=lambda row: row["key"].encode())


def plan(
    kind: str,
    *,
    options: Mapping[str, Any] | None = None,
    splits: Any = None,
    scope: Scope | None = None,
    wanted: Mapping[str, Any] | None = None,
    on_collision: str = "error",
    **choice: Any,
) -> ExportPlan:
    """Give a plan over the whole bucket, unless a scope is given."""
    return ExportPlan(
        wanted=Wanted(scope or Scope(BUCKET, ("",)), **(wanted or {})),
        format=load_format(kind, options),
        choice=Choice(**choice | {"prompt": read_prompt(choice.get("prompt", "first"))}),
        splits=read_splits(splits),
        on_collision=read_on_collision(on_collision),
    )


def export_to(
    folder: Path,
    database: Database,
    wanted: ExportPlan,
    *,
    images: ImageStore | None = None,
    writer: str = "test",
    keep: int = 2,
) -> tuple[Path, ExportReport]:
    """Export into a folder.

    :return: the folder of the new version, and the report.
    """
    report = ExportReport()
    target = FolderTarget(str(folder))
    with publishing(target, writer, keep, report.to_json) as publication:
        export(wanted, database, publication, images, report)
    return folder / publication.location, report
