"""Batches as a person would find them after a week of work: for pages to be looked at."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.batch import BatchOptions, Listed, Origin, Scope
from airflow_midjourney.describe.table import accounts, batches, results
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.model.status import Reason
    from airflow_midjourney.describe.table.database import Database, Transaction

#: What a person may call an object, a prefix or a run.
HOSTILE: Final = "a'; drop table--<script>alert(1)</script>\u202egpj.\u200f"


def start_batch(
    tx: Transaction,
    dag_id: str,
    prefix: str,
    images: int,
    account: AccountSettings,
    run_id: str = "scheduled__2026-11-26T00:00:00+00:00",
) -> Batch:
    """Open a batch over a prefix of its own, and list it to its end."""
    accounts.ensure_account(tx, account)
    batch = batches.open_batch(tx, Scope(rows.BUCKET, (prefix,)), BatchOptions(), Origin(dag_id, run_id, "submit"))
    rows.list_images(tx, [rows.listed(f"{prefix}{number:05}.jpg") for number in range(images)])
    found = Listed(keys=images + 2, images=images, new=images)
    batches.move_listing(tx, batch.batch_id, batch.position, batch.position, found)
    batches.end_listing(tx, batch.batch_id)
    return batches.read_batch(tx, batch.batch_id)


def describe_some(tx: Transaction, batch: Batch, images: int, account: AccountSettings) -> None:
    """Let images of a batch be described."""
    for number in range(images):
        sent = _send(tx, batch, f"done-{number}", account)
        rows.described(tx, sent, rows.four_prompts(), "raw", results.RemoteTimes())


def fail_some(tx: Transaction, batch: Batch, reasons: Sequence[Reason], account: AccountSettings) -> None:
    """Let images of a batch fail."""
    for number, reason in enumerate(reasons):
        sent = _send(tx, batch, f"failed-{reason}-{number}", account)
        results.ended(tx, sent, reason, "It says why.", results.RemoteTimes(), "")


def send_some(tx: Transaction, batch: Batch, images: int, account: AccountSettings) -> None:
    """Let images of a batch be on their way."""
    for number in range(images):
        _send(tx, batch, f"sent-{number}", account)


def let_all_be_older(database: Database, gone: timedelta) -> None:
    """Move all that has happened into the past."""
    with database.writing() as tx:
        rows.let_time_pass(tx, gone)


def _send(tx: Transaction, batch: Batch, name: str, account: AccountSettings) -> results.InFlight:
    where = f"{batch.batch_id}/{name}/{uuid.uuid4()}"
    return rows.submit_next(tx, batch, task_id=where, body=where, account=account)
