"""A batch's scope as SQL means what it means in Python and in S3."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.table.batches import after_prefix, scope_keys
from airflow_midjourney.describe.table.counts import count_open
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_midjourney.describe.table.database import Database, Transaction

#: Characters whose order or meaning differs between languages, collations and encodings.
TRICKY = "aAbB09%_'\"\\/ .-ßé\u202e\u0301\ud7ff\ue000\ufffd\uffff\U00010000\U0010fffe\U0010ffff"

HOSTILE = "a'; drop table--<script>.jpg"


def with_keys(tx: Transaction, keys: Iterable[str]) -> None:
    tx.connection.execute(delete(tx.tables.images))
    rows.list_images(tx, [rows.listed(key) for key in keys])


def found(tx: Transaction, scope: Scope) -> list[str]:
    images = tx.tables.images
    return list(
        tx.connection.execute(select(images.c.key).where(scope_keys(tx.tables, scope)).order_by(images.c.key)).scalars()
    )


@pytest.mark.parametrize(
    ("prefix", "under", "beside"),
    [
        ("100%/", ["100%/a"], ["100/a", "100x/a", "1000/a"]),
        ("a_b/", ["a_b/c"], ["axb/c", "a-b/c"]),
        ("it's", ["it's", "it's here"], ["its", "it"]),
        ('say "', ['say "a"'], ["say a"]),
        ("Fotos/Österreich/", ["Fotos/Österreich/1.jpg"], ["Fotos/Osterreich/1.jpg", "fotos/Österreich/1.jpg"]),
        ("x\U0010ffff", ["x\U0010ffff", "x\U0010ffffa", "x\U0010ffff\U0010ffff"], ["x", "x\U0010fffe", "y"]),
        ("\U0010ffff", ["\U0010ffff", "\U0010ffffz"], ["\U0010fffe", "z"]),
        ("\ud7ff", ["\ud7ff", "\ud7ffa"], ["\ue000", "\ud7fe"]),
        (HOSTILE[:5], [HOSTILE], ["a", "a;"]),
        ("a\\", ["a\\b"], ["ab", "a/b"]),
        ("", ["a", "\U0010ffff", " "], []),
    ],
)
def test_a_prefix_is_taken_as_it_is(database: Database, prefix: str, under: list[str], beside: list[str]) -> None:
    with database.writing() as tx:
        with_keys(tx, [*under, *beside])

        assert found(tx, Scope(rows.BUCKET, (prefix,))) == sorted(under)


def test_several_prefixes_count_each_row_once(database: Database) -> None:
    with database.writing() as tx:
        with_keys(tx, ["a/1", "a/b/1", "c/1", "d/1"])
        batch = rows.open_batch(tx, Scope(rows.BUCKET, ("a/", "a/b/", "c/")))

        assert count_open(tx, batch).pending == 3


def test_keys_are_taken_as_they_are(database: Database) -> None:
    with database.writing() as tx:
        with_keys(tx, [HOSTILE, "100%", "100x", "a_b", "axb"])

        assert found(tx, Scope(rows.BUCKET, keys=(HOSTILE, "100%", "a_b"))) == sorted(["100%", HOSTILE, "a_b"])


@pytest.mark.parametrize("strange", ["nul\x00.jpg", "half \ud800.jpg"])
def test_what_no_database_can_store_is_found_under_what_is_left_of_it(database: Database, strange: str) -> None:
    with database.writing() as tx:
        with_keys(tx, [strange])
        (stored,) = (row["key"] for row in rows.image_rows(tx))

        assert found(tx, Scope(rows.BUCKET, (strange[:6],))) == [stored]
        assert found(tx, Scope(rows.BUCKET, keys=(strange,))) == [stored]


def test_other_buckets_and_bots_are_not_in_scope(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a")])
        rows.list_images(tx, [rows.listed("b")], bot_type=BotType.NIJI_JOURNEY)
        rows.list_images(tx, [rows.listed("c", bucket="others")])
        mid = rows.open_batch(tx, Scope(rows.BUCKET, ("",)), run_id="mid")
        niji = rows.open_batch(tx, Scope(rows.BUCKET, ("",), bot_type=BotType.NIJI_JOURNEY), run_id="niji")

        assert (count_open(tx, mid).pending, count_open(tx, niji).pending) == (1, 1)


def test_keys_are_ordered_byte_by_byte_as_s3_does(database: Database) -> None:
    keys = [*TRICKY.replace("\ud7ff", ""), "aa", "a", "Z", "zz", "ä", "z"]
    with database.writing() as tx:
        with_keys(tx, random.Random(1).sample(sorted(set(keys)), len(set(keys))))

        assert found(tx, rows.EVERYTHING) == sorted(set(keys), key=lambda key: key.encode())


texts = st.text(st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"])), max_size=4).map(
    lambda text: text.replace("\x00", "")
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(keys=st.sets(texts, min_size=1, max_size=60), prefixes=st.lists(texts, min_size=1, max_size=12), data=st.data())
def test_a_prefix_finds_what_starts_with_it(
    database: Database, keys: set[str], prefixes: list[str], data: st.DataObject
) -> None:
    cuts = [key[: data.draw(st.integers(0, len(key)))] for key in sorted(keys)[:12]]
    with database.writing() as tx:
        tx.connection.execute(delete(tx.tables.images))
        tx.connection.execute(insert(tx.tables.images), [plain_row(tx, key) for key in keys])
        for prefix in {*prefixes, *cuts}:
            under = sorted(key for key in keys if key.startswith(prefix))
            assert found(tx, Scope(rows.BUCKET, (prefix,))) == under


def plain_row(tx: Transaction, key: str) -> dict[str, object]:
    return {
        "image_uri": f"s3://{rows.BUCKET}/{key}",
        "bucket": rows.BUCKET,
        "key": key,
        "image_version": "",
        "is_current": True,
        "bot_type": BotType.MID_JOURNEY.value,
        "status": "pending",
        "created_at": tx.now,
        "updated_at": tx.now,
    }


@settings(max_examples=200, deadline=None)
@given(prefix=texts, text=texts)
def test_the_end_of_a_prefix_lies_right_behind_all_that_starts_with_it(prefix: str, text: str) -> None:
    end = after_prefix(prefix)

    assert end is None or prefix + text < end
    assert text.startswith(prefix) == (prefix <= text and (end is None or text < end))
