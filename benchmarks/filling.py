"""Filling the metadata table with images that have been described, as years of runs leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.stand_ins.endless_bucket import PREFIX

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Rows written in one transaction.
_AT_ONCE: Final = 100_000

#: What the four prompts of an image are, about as long as real ones.
_PROMPT: Final = (
    "a lighthouse on a cliff above a grey sea, oil on canvas, wide brush strokes, seen from the harbour in" * 2
)

_IMAGES: Final = """
    INSERT INTO {images} (
        image_uri, bucket, key, image_version, etag, is_current, size_bytes, last_modified, storage_class, bot_type,
        status, attempts, max_attempts, content_sha256, media_type, width, height, account, task_id, submit_token,
        prompt_1, prompt_2, prompt_3, prompt_4, prompt_count, prompt_raw, parser_version, batch_id,
        reservations, silence_before, silence_before_missing, submitted_at, ended_at, created_at, updated_at
    )
    SELECT 's3://{bucket}/' || key, '{bucket}', key, etag, etag, {true}, 202406, {then}, 'STANDARD', 'MID_JOURNEY',
        'succeeded', 1, 2, '{bucket}' || etag, 'image/jpeg', 1024, 1024, '{account}', 'task' || n,
        'sent' || '{bucket}' || n,
        '{prompt}', '{prompt}', '{prompt}', '{prompt}', 4, '{prompt}{prompt}{prompt}{prompt}', 1, 'old',
        0, 0, 0, {then}, {then}, {then}, {then}
    FROM (SELECT n, '{prefix}' || {number} || '.jpg' AS key, {etag} AS etag FROM ({numbers}) AS counted) AS listed
"""

_SUBMISSIONS: Final = """
    INSERT INTO {submissions} (
        image_id, submit_token, batch_id, cap_scope, account, task_id, outcome, result, price, currency,
        claimed_at, answered_at, settled_at
    )
    SELECT id, submit_token, 'old', 'old', account, task_id, 'accepted', 'succeeded', 0.05, 'USD',
        {then}, {then}, {then}
    FROM {images} WHERE bucket = '{bucket}' AND key >= '{prefix}' || {first} AND key < '{prefix}' || {last}
"""


def fill(database: Database, bucket: str, number: int, account: str) -> None:
    """Write a row and a bill for every image of a stand-in's bucket, as if described long ago."""
    for start in range(0, number, _AT_ONCE):
        with database.writing() as tx:
            _fill_some(tx, bucket, start, min(number, start + _AT_ONCE), account)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if database.engine.dialect.name == "postgresql" else "ANALYZE")


def _fill_some(tx: Transaction, bucket: str, start: int, end: int, account: str) -> None:
    values = {
        "images": tx.tables.images.fullname,
        "submissions": tx.tables.submissions.fullname,
        "bucket": bucket,
        "account": account,
        "prefix": PREFIX,
        "prompt": _PROMPT,
        **(_postgres(start, end) if tx.is_postgres else _sqlite(start, end)),
        "first": f"'{start:08}'",
        "last": f"'{end:08}'",
    }
    for statement in (_IMAGES, _SUBMISSIONS):
        tx.connection.exec_driver_sql(statement.format(**values))


def _postgres(start: int, end: int) -> dict[str, str]:
    return {
        "true": "true",
        "then": "timestamptz '2025-01-01'",
        "number": "lpad(n::text, 8, '0')",
        "etag": "lpad(to_hex(n), 32, '0')",
        "numbers": f"SELECT n FROM generate_series({start}, {end - 1}) AS series(n)",  # noqa: S608 - numbers only
    }


def _sqlite(start: int, end: int) -> dict[str, str]:
    return {
        "true": "1",
        "then": "'2025-01-01 00:00:00.000000'",
        "number": "printf('%08d', n)",
        "etag": "printf('%032x', n)",
        "numbers": f"WITH RECURSIVE up(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM up WHERE n < {end - 1})"  # noqa: S608
        " SELECT n FROM up",
    }
