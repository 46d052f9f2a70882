"""Leafing through images: every one once, in both directions, those of one's own DAGs only, and never for long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import BotType, Reason, Status
from airflow_midjourney.describe.queries import gallery
from airflow_midjourney.describe.queries.failures import ReasonCount, count_reasons
from airflow_midjourney.describe.queries.filters import Filters, Span
from airflow_midjourney.describe.queries.gallery import Cursor, GalleryPage, turn_page
from airflow_midjourney.describe.queries.image import look_at_image, stored_object
from airflow_midjourney.describe.queries.owners import owners
from airflow_midjourney.describe.table import batches, results
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

MINE = frozenset({"mine"})
BOTH = frozenset({"mine", "theirs"})


def open_batch(tx: Transaction, dag_id: str, prefix: str, run_id: str = "run") -> Batch:
    rows.open_batch(tx)
    return batches.open_batch(tx, Scope(rows.BUCKET, (prefix,)), BatchOptions(), Origin(dag_id, run_id, "submit"))


def fill(tx: Transaction, dag_id: str, number: int, run_id: str = "run") -> list[int]:
    """List images of a DAG, that stay pending, and give their rows."""
    prefix = f"{dag_id}/{run_id}/"
    batch = open_batch(tx, dag_id, prefix, run_id)
    before = {row["id"] for row in rows.image_rows(tx)}
    rows.list_images(tx, [rows.listed(f"{prefix}{index:04}.jpg") for index in range(number)], batch=batch)
    return [row["id"] for row in rows.image_rows(tx) if row["id"] not in before]


def leaf(tx: Transaction, filters: Filters, dag_ids: frozenset[str], size: int) -> tuple[list[GalleryPage], list[int]]:
    """Turn all pages forwards, then all back, and give the rows as they came forwards."""
    pages = [turn_page(tx, filters, dag_ids, None, size)]
    while pages[-1].following is not None:
        pages.append(turn_page(tx, filters, dag_ids, pages[-1].following, size))
    back = [pages[-1]]
    while back[-1].preceding is not None:
        back.append(turn_page(tx, filters, dag_ids, back[-1].preceding, size))
    forwards = [row.id for page in pages for row in page.rows]
    assert [row.id for page in reversed(back) for row in page.rows] == forwards
    return pages, forwards


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_every_image_of_ones_own_is_on_one_page_the_latest_first(database: Database, size: int) -> None:
    with database.writing() as tx:
        first, theirs, second = fill(tx, "mine", 4), fill(tx, "theirs", 5), fill(tx, "mine", 6, "later")
        _, mine = leaf(tx, Filters(), MINE, size)
        _, both = leaf(tx, Filters(), BOTH, size)
        _, nothing = leaf(tx, Filters(), frozenset(), size)

    assert mine == sorted(first + second, reverse=True)
    assert both == sorted(first + theirs + second, reverse=True)
    assert nothing == []


def test_who_sees_more_dags_than_are_walked_side_by_side_sees_them_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MOST_LANES", 5)
    names = [f"dag{number}" for number in range(gallery.MOST_LANES + 5)]
    with database.writing() as tx:
        hidden = fill(tx, "theirs", 3)
        ids = [one for name in names for one in fill(tx, name, 2)]
        _, found = leaf(tx, Filters(), frozenset(names), 7)

    assert found == sorted(ids, reverse=True)
    assert not set(found) & set(hidden)


def test_images_under_a_prefix_come_in_the_order_of_their_keys(database: Database) -> None:
    with database.writing() as tx:
        batch = open_batch(tx, "mine", "in/")
        keys = ["in/b", "in/a", "in/é", "in/a_", "in/a%", "in/aa"]
        rows.list_images(tx, [rows.listed(key) for key in [*keys, "out/a"]], batch=batch)
        rows.list_images(tx, [rows.listed("in/a", "later")], batch=batch)
        fill(tx, "theirs", 2)
        pages, _ = leaf(tx, Filters(prefix="s3://photos/in/"), BOTH, 2)
        _, literal = leaf(tx, Filters(prefix="s3://photos/in/a_"), BOTH, 2)

    assert [row.key for page in pages for row in page.rows] == sorted([*keys, "in/a"])
    assert len(literal) == 1


@pytest.fixture
def described(database: Database) -> dict[str, int]:
    """Four images of one's own that ended in four ways, and one of another DAG."""
    with database.writing() as tx:
        batch = open_batch(tx, "mine", "in/", "a run")
        rows.list_images(tx, [rows.listed(f"in/{name}.jpg") for name in ("A", "b", "c", "d")], batch=batch)
        ids = {name: rows.submit_next(tx, batch, task_id=name) for name in ("good", "banned", "doubtful")}
        rows.described(tx, ids["good"], rows.four_prompts(), "raw", results.RemoteTimes())
        results.ended(tx, ids["banned"], Reason.BANNED, "No.", results.RemoteTimes(), "")
        rows.set_columns(tx, ids["doubtful"].id, status="in_doubt", ended_at=tx.now)
        fill(tx, "theirs", 1)
        pending = next(row["id"] for row in rows.image_rows(tx) if row["key"] == "in/d.jpg")
    return {name: sent.id for name, sent in ids.items()} | {"pending": pending}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"status": Status.SUCCEEDED}, ["good"]),
        ({"status": Status.FAILED}, ["banned"]),
        ({"status": Status.IN_DOUBT}, ["doubtful"]),
        ({"status": Status.PENDING}, ["pending"]),
        ({"status": Status.SUBMITTED}, []),
        ({"status": Status.REJECTED}, []),
        ({"reason": Reason.BANNED}, ["banned"]),
        ({"reason": Reason.BANNED, "status": Status.SUCCEEDED}, []),
        ({"run_id": "a run"}, ["pending", "doubtful", "banned", "good"]),
        ({"run_id": "no run"}, []),
        ({"dag_id": "mine"}, ["pending", "doubtful", "banned", "good"]),
        ({"dag_id": "theirs"}, []),
        ({"bot_type": BotType.NIJI_JOURNEY}, []),
        ({"prefix": "s3://photos/in/A"}, ["good"]),
        ({"text": "THREE"}, ["good"]),
        ({"text": "in/b"}, ["banned"]),
        ({"text": "a.jpg"}, ["good"]),
        ({"text": "%"}, []),
        ({"text": "_"}, []),
        ({"text": "in/b", "status": Status.SUCCEEDED}, []),
    ],
)
def test_filters_find_what_they_say(
    database: Database, described: dict[str, int], filters: dict[str, Any], names: list[str]
) -> None:
    with database.reading() as tx:
        _, found = leaf(tx, Filters(**filters), MINE, 2)

    assert found == [described[name] for name in names]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_search_looks_at_so_many_rows_and_says_where_to_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    monkeypatch.setattr(gallery, "STEPS", (2, 3))
    with database.writing() as tx:
        ids = fill(tx, "mine", 20)
        for wanted in (ids[0], ids[-1]):
            rows.set_columns(tx, wanted, prompt_2="a Lighthouse")
        cursor = Cursor(ids[0], backwards=True) if backwards else Cursor(ids[-1])
        looks = [turn_page(tx, Filters(text="lighthouse"), MINE, cursor, 48)]
        while not looks[-1].complete:
            further = looks[-1].preceding if backwards else looks[-1].following
            looks.append(turn_page(tx, Filters(text="lighthouse"), MINE, further, 48))

    assert [len(page.rows) for page in looks] == [0, 0, 0, 1]
    assert looks[-1].rows[0].id == (ids[-1] if backwards else ids[0])


def test_a_row_of_an_older_release_belongs_to_the_dag_of_its_batch(database: Database) -> None:
    with database.writing() as tx:
        (mine,), (theirs,) = fill(tx, "mine", 1), fill(tx, "theirs", 1)
        for one in (mine, theirs):
            rows.set_columns(tx, one, dag_id=None)
        rows.list_images(tx, [rows.listed("of-no-dag.jpg")])
        _, found = leaf(tx, Filters(), MINE, 5)
        belonging = owners(tx, [mine, theirs, theirs + 1, 999])

    assert found == [mine]
    assert belonging == {mine: "mine", theirs: "theirs", theirs + 1: None}


def test_reasons_are_counted_of_ones_own_dags_only(
    database: Database, described: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.writing() as tx:
        batch = open_batch(tx, "theirs", "more/")
        rows.list_images(tx, [rows.listed(f"more/{name}.jpg") for name in "abc"], batch=batch)
        for name in "abc":
            sent = rows.submit_next(tx, batch, task_id=name)
            results.ended(tx, sent, Reason.BANNED, "", results.RemoteTimes(), "")
        mine, both = count_reasons(tx, Filters(), MINE), count_reasons(tx, Filters(), BOTH)
        monkeypatch.setattr("airflow_midjourney.describe.queries.failures.MOST_COUNTED", 2)
        bounded = count_reasons(tx, Filters(), BOTH)

    assert mine == [ReasonCount(Reason.BANNED, 1), ReasonCount(None, 1)]
    assert both == [ReasonCount(Reason.BANNED, 4), ReasonCount(None, 1)]
    assert bounded[0] == ReasonCount(Reason.BANNED, 2, at_least=True)


def end_all(tx: Transaction, dag_id: str, number: int, reason: Reason | None = None, run_id: str = "run") -> list[int]:
    """List images of a DAG that end for a reason, or described."""
    prefix = f"{dag_id}/{run_id}/"
    batch = open_batch(tx, dag_id, prefix, run_id)
    rows.list_images(tx, [rows.listed(f"{prefix}{index:04}.jpg") for index in range(number)], batch=batch)
    sent = [rows.submit_next(tx, batch, task_id=f"{prefix}{index}") for index in range(number)]
    for one in sent:
        if reason is None:
            rows.described(tx, one, rows.four_prompts(), "raw", results.RemoteTimes())
        else:
            results.ended(tx, one, reason, "", results.RemoteTimes(), "")
    return [one.id for one in sent]


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        (Filters(status=Status.FAILED), Reason.BANNED),
        (Filters(reason=Reason.BANNED), Reason.BANNED),
        (Filters(status=Status.SUCCEEDED), None),
    ],
    ids=["failed", "reason", "described"],
)
def test_who_sees_very_many_dags_finds_theirs_behind_many_rows_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch, filters: Filters, reason: Reason | None
) -> None:
    monkeypatch.setattr(gallery, "MOST_LANES", 3)
    monkeypatch.setattr(gallery, "STEPS", (2, 2))
    names = [f"dag{number}" for number in range(4)]
    other = Reason.BANNED if reason is None else None
    with database.writing() as tx:
        moments = iter(range(100))
        ended = [one for name in names for one in end_all(tx, name, 2, reason)]
        # Ends of different DAGs lie between each other, so that every query has some of each page.
        for one in ended[::2] + ended[1::2]:
            rows.set_columns(tx, one, ended_at=tx.now - timedelta(minutes=next(moments)))
        end_all(tx, "theirs", 9, reason)
        end_all(tx, names[0], 9, other, "later")
        _, found = leaf(tx, filters, frozenset(names), 3)

    assert found == ended[::2] + ended[1::2]


def test_where_even_that_is_too_much_the_page_says_from_where_to_look_further(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MOST_LANES", 2)
    monkeypatch.setattr(gallery, "MOST_QUERIES", 2)
    monkeypatch.setattr(gallery, "STEPS", (2, 2))
    names = frozenset(f"dag{number}" for number in range(4))
    with database.writing() as tx:
        failed = [one for name in sorted(names) for one in end_all(tx, name, 1, Reason.BANNED)]
        end_all(tx, "theirs", 9)
        first = turn_page(tx, Filters(status=Status.FAILED), names, None, 3)
        _, found = leaf(tx, Filters(status=Status.FAILED), names, 3)

    assert (first.rows, first.complete, first.following is not None) == ((), False, True)
    assert found == failed[::-1]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(status=Status.FAILED),
        Filters(status=Status.FAILED, within=Span.WEEK),
        Filters(status=Status.FAILED, run_id="their run"),
        Filters(status=Status.IN_DOUBT),
        Filters(),
    ],
    ids=["failed", "lately", "run", "in doubt", "all"],
)
def test_who_sees_a_thousand_dags_is_not_asked_to_look_further_for_the_few_that_have_such_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch, filters: Filters
) -> None:
    monkeypatch.setattr(gallery, "STEPS", (2, 2))
    names = frozenset(f"dag{number}" for number in range(1000))
    with database.writing() as tx:
        theirs = [one for name in ("dag7", "dag900") for one in end_all(tx, name, 1, Reason.BANNED, "their run")]
        others = end_all(tx, "theirs", 9, Reason.BANNED, "their run")
        if filters.status is Status.IN_DOUBT:
            for one in theirs + others:
                rows.set_columns(tx, one, status=Status.IN_DOUBT, reason=None)
        page = turn_page(tx, filters, names, None, 5)

    assert ({row.id for row in page.rows}, page.complete, page.following) == (set(theirs), True, None)


@pytest.mark.parametrize("status", [Status.FAILED, Status.IN_DOUBT])
def test_failures_behind_many_of_another_dag_are_counted_and_shown(
    database: Database, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    monkeypatch.setattr("airflow_midjourney.describe.queries.failures.MOST_COUNTED", 3)
    monkeypatch.setattr(gallery, "STEPS", (2, 2))
    with database.writing() as tx:
        mine = end_all(tx, "mine", 2, Reason.BANNED, "a run of both")
        theirs = end_all(tx, "theirs", 6, Reason.BANNED, "a run of both")
        if status is Status.IN_DOUBT:
            for one in mine + theirs:
                rows.set_columns(tx, one, status=status, reason=None)
        reason = Reason.BANNED if status is Status.FAILED else None
        counted = count_reasons(tx, Filters(), MINE)
        pages = [
            turn_page(tx, filters, MINE, None, 5)
            for filters in (
                Filters(status=status),
                Filters(status=status, reason=reason),
                Filters(run_id="a run of both"),
                Filters(status=status, dag_id="mine"),
            )
        ]

    assert counted == [ReasonCount(reason, 2)]
    assert [[row.id for row in page.rows] for page in pages] == [sorted(mine, reverse=True)] * 4


@pytest.mark.parametrize("size", [1, 2, 100])
def test_described_images_come_in_the_order_of_their_answers_the_latest_first(database: Database, size: int) -> None:
    with database.writing() as tx:
        mine, also_mine, theirs = (end_all(tx, name, 3) for name in ("mine", "also mine", "theirs"))
        answered = [mine[2], also_mine[0], mine[0], also_mine[2], also_mine[1], mine[1]]
        for minute, one in enumerate([*answered, *theirs]):
            rows.set_columns(tx, one, ended_at=tx.now - timedelta(minutes=minute))
        fill(tx, "mine", 3, "listed later and pending")
        _, found = leaf(tx, Filters(status=Status.SUCCEEDED), frozenset({"mine", "also mine"}), size)

    assert found == answered


def test_a_page_goes_on_where_it_was_although_its_last_image_is_described_again(database: Database) -> None:
    with database.writing() as tx:
        ids = end_all(tx, "mine", 4)
        for minute, one in enumerate(ids):
            rows.set_columns(tx, one, ended_at=tx.now - timedelta(minutes=minute))
        first = turn_page(tx, Filters(status=Status.SUCCEEDED), MINE, None, 2)
        rows.set_columns(tx, ids[1], status="pending", ended_at=None)
        second = turn_page(tx, Filters(status=Status.SUCCEEDED), MINE, first.following, 2)

    assert [row.id for row in first.rows] == ids[:2]
    assert [row.id for row in second.rows] == ids[2:]


def test_one_image_has_its_versions_and_bill_as_far_as_they_may_be_seen(
    database: Database, described: dict[str, int]
) -> None:
    good = described["good"]
    with database.writing() as tx:
        theirs = open_batch(tx, "theirs", "in/", "another")
        rows.list_images(tx, [rows.listed("in/A.jpg", "later")], batch=theirs)
        sent = rows.submit_next(tx, theirs, task_id="theirs")
        tx.connection.execute(
            tx.tables.submissions.update()
            .where(tx.tables.submissions.c.submit_token == sent.submit_token)
            .values(image_id=good)
        )
        mine, both = look_at_image(tx, good, MINE), look_at_image(tx, good, BOTH)
        hidden = look_at_image(tx, good, frozenset({"theirs"}))
        stored = stored_object(tx, good, MINE)

        assert hidden is None
        assert stored_object(tx, good, frozenset({"theirs"})) is None

    assert mine is not None
    assert both is not None
    assert stored is not None
    assert (len(mine.versions), len(mine.submissions)) == (1, 1)
    assert (len(both.versions), len(both.submissions)) == (2, 2)
    assert (stored.image.uri, stored.image.etag) == ("s3://photos/in/A.jpg", "etag")
    assert stored.options.aws_conn_id == "aws_default"


def test_failures_of_a_run_are_on_its_first_page_however_many_images_it_has(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "STEPS", (2, 2))
    with database.writing() as tx:
        failed = end_all(tx, "mine", 2, Reason.BANNED, "large")
        end_all(tx, "mine", 3, Reason.BANNED, "later")
        fill(tx, "mine", 20, "large")
        for filters in (Filters(reason=Reason.BANNED, run_id="large"), Filters(status=Status.FAILED, run_id="large")):
            found = turn_page(tx, filters, MINE, None, 5)
            assert ({row.id for row in found.rows}, found.complete) == (set(failed), True)


def test_failures_are_counted_and_shown_by_run_reason_dag_and_time(database: Database) -> None:
    with database.writing() as tx:
        banned, old = end_all(tx, "mine", 2, Reason.BANNED), end_all(tx, "mine", 1, Reason.BANNED, "old")
        lost, doubtful = (
            end_all(tx, "mine", 3, Reason.REFUSED, "other"),
            end_all(tx, "mine", 2, Reason.REFUSED, "doubt"),
        )
        theirs = end_all(tx, "theirs", 1, Reason.BANNED)
        for one in doubtful:
            rows.set_columns(tx, one, status="in_doubt", reason=None)
        for one in (*old, doubtful[0]):
            rows.set_columns(tx, one, ended_at=tx.now - timedelta(days=8))

        def counted(**wanted: Any) -> dict[str | None, int]:
            return {one.reason: one.rows for one in count_reasons(tx, Filters(**wanted), BOTH)}

        def shown(**wanted: Any) -> set[int]:
            return {row.id for row in turn_page(tx, Filters(**wanted), BOTH, None, 50).rows}

        assert counted() == {Reason.BANNED: 4, Reason.REFUSED: 3, None: 2}
        assert counted(within=Span.WEEK) == {Reason.BANNED: 3, Reason.REFUSED: 3, None: 1}
        assert counted(within=Span.WEEK, dag_id="mine") == {Reason.BANNED: 2, Reason.REFUSED: 3, None: 1}
        assert counted(run_id="other") == {Reason.REFUSED: 3}
        assert counted(run_id="doubt", within=Span.MONTH) == {None: 2}
        assert counted(reason=Reason.BANNED, dag_id="theirs") == {Reason.BANNED: 1}
        assert counted(status=Status.IN_DOUBT, dag_id="theirs") == {}
        assert shown(reason=Reason.BANNED, within=Span.WEEK) == {*banned, *theirs}
        assert shown(reason=Reason.REFUSED, run_id="other") == set(lost)
        assert shown(status=Status.IN_DOUBT, within=Span.HOUR) == {doubtful[1]}
