"""Two transactions at the same moment: what one has not yet committed, the other must not overlook."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import accounts, leases
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.counts import count_open
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

OTHER_ACCOUNT = replace(rows.ACCOUNT, identity="https://service.example:443/other")


@pytest.fixture
def postgres(postgres_place: MetadataPlace) -> Iterator[Database]:
    """On SQLite only one transaction writes at a time, so there is no such moment."""
    opened = open_database(postgres_place.url, postgres_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


def reserved_pair(database: Database, bodies: tuple[str, str], **options: int) -> tuple[Batch, Claim, Claim]:
    """Two rows reserved for two workers, and their claims, not yet made."""
    with database.writing() as tx:
        accounts.ensure_account(tx, OTHER_ACCOUNT)
        batch = rows.open_batch(tx, **options)  # type: ignore[arg-type]
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        first, second = leases.reserve(tx, batch, "holder", 2)
    return batch, rows.request(batch, first, bodies[0]), rows.request(batch, second, bodies[1])


def claim_alone(database: Database, wanted: Claim, account: AccountSettings) -> ClaimResult:
    with database.writing() as tx:
        return rows.claim_alone(tx, wanted, account)


def claim_behind(database: Database, first: Claim, second: Claim) -> ClaimResult:
    """Claim with one account, and before that is committed, with another; give what came of the second."""
    with ThreadPoolExecutor(1) as threads:
        with database.writing() as tx:
            assert rows.claim_alone(tx, first, rows.ACCOUNT) is ClaimResult.CLAIMED
            behind = threads.submit(claim_alone, database, second, OTHER_ACCOUNT)
            with pytest.raises(NotYetError):
                behind.result(timeout=0.5)
        return behind.result()


def test_the_cap_of_a_run_holds_over_two_accounts_at_the_same_moment(postgres: Database) -> None:
    _, first, second = reserved_pair(postgres, ("a", "b"), max_submissions=1)

    assert claim_behind(postgres, first, second) is ClaimResult.CAPPED


def test_the_same_bytes_are_not_claimed_by_two_accounts_at_the_same_moment(postgres: Database) -> None:
    batch, first, second = reserved_pair(postgres, ("twin", "twin"))

    with pytest.raises(IntegrityError):
        claim_behind(postgres, first, second)

    assert claim_alone(postgres, second, OTHER_ACCOUNT) is ClaimResult.SHARED
    with postgres.reading() as tx:
        assert len(rows.bill(tx)) == 1
        assert count_open(tx, batch).sharing == 1


def test_all_that_one_read_sees_is_of_one_moment(postgres: Database) -> None:
    """Else a row that moves between two queries is counted by neither, and a batch ends too early."""
    with postgres.writing() as tx:
        batch = rows.open_batch(tx, Scope(rows.BUCKET, ("",)))
        rows.list_images(tx, [rows.listed("a.jpg")])
    with postgres.reading() as reader:
        before = count_open(reader, batch)
        with postgres.writing() as tx:
            tx.connection.execute(update(tx.tables.images).values(status=Status.IN_DOUBT.value))
        after = count_open(reader, batch)

    assert before.pending == 1
    assert after == before
