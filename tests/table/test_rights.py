"""A login of Postgres with just the rights that the document names, and the other statements of that document."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import ProgrammingError

from airflow_midjourney.describe.admin.erase import erase
from airflow_midjourney.describe.admin.review import decide, lend
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.queries.filters import Filters
from airflow_midjourney.describe.table import batches, budgets, submissions
from airflow_midjourney.describe.table.database import Database, open_database
from airflow_midjourney.describe.table.migrations import ensure_tables, print_ddl
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.reviews.decisions import Review, Written
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from tests.support.places import MetadataPlace

QUESTIONS: Final = Path(__file__).parents[2] / "docs" / "questions.md"


def statements(heading: str) -> list[list[str]]:
    """Give the statements of each block of SQL below a heading of the document."""
    (section,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", QUESTIONS.read_text(), re.M | re.S)
    blocks = re.findall(r"^ *```sql\n(.*?)^ *```", section, re.M | re.S)
    assert blocks
    return [[one.strip() for one in block.split(";\n")] for block in blocks]


@pytest.fixture
def owner(postgres_place: MetadataPlace) -> Iterator[Engine]:
    engine = create_engine(postgres_place.url)
    yield engine
    engine.dispose()


@pytest.fixture
def login(postgres_place: MetadataPlace, owner: Engine) -> Iterator[Callable[[str], Database]]:
    """Make a login without any right, and open the tables as it; its name takes the place of the document's."""
    made: list[str] = []
    opened: list[Database] = []

    def make(name: str) -> Database:
        role = f"{name}_{uuid.uuid4().hex[:8]}"
        with owner.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'letmein'")
        made.append(role)
        url = make_url(postgres_place.url).set(username=role, password="letmein")
        database = open_database(url.render_as_string(hide_password=False), postgres_place.names, name=role)
        opened.append(database)
        return database

    yield make
    for database in opened:
        database.close()
    with owner.begin() as connection:
        for role in made:
            connection.exec_driver_sql(f"DROP OWNED BY {role} CASCADE")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def grant(owner: Engine, place: MetadataPlace, block: list[str], role: Database, name: str) -> None:
    with owner.begin() as connection:
        for statement in block:
            here = re.sub(r"\bSCHEMA prompts\b", f"SCHEMA {place.names.schema}", statement)
            connection.exec_driver_sql(re.sub(rf"\bTO {name}\b", f"TO {role.name}", here))


def use_everything(database: Database) -> None:
    """Write, change and delete in each of the tables as the engine does."""
    account = replace(rows.ACCOUNT, max_submissions_per_day=50)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        batch = rows.open_batch(tx, max_submissions=9)
        row = rows.submit_next(tx, batch, account=account)
        budgets.move_on(tx, budgets.day_that_pays(tx, account.identity))
        budgets.before_a_change(tx, row.submit_token)
        tx.connection.execute(tx.tables.tallies.delete())
        tx.connection.execute(tx.tables.members.insert().values(batch_id=batch.batch_id, image_id=row.id))
        tx.connection.execute(tx.tables.members.delete())
        tx.connection.execute(
            tx.tables.requests.insert().values(request_id="r", asked_by="anna", asked_at=tx.now, image_ids=[row.id])
        )
        assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        (reviewed,) = lend(tx, Filters(), frozenset({"dag"}), "a window")
        review = Review(reviewed.seen, ReviewDecision.APPROVED, prompt=1)
        (outcome,) = decide(tx, [review], "anna", frozenset({"dag"}), "a window")
        assert outcome.written is Written.ADDED
        assert batches.read_batch(tx, batch.batch_id).batch_id == batch.batch_id
    erase(database, [Scope(rows.BUCKET, ("b",))], "anna")


def test_a_login_that_may_create_makes_the_tables_and_uses_them(
    postgres_place: MetadataPlace, owner: Engine, login: Callable[[str], Database]
) -> None:
    database = login("midjourney")
    grant(owner, postgres_place, statements("Rights on the database")[0], database, "midjourney")

    ensure_tables(database)
    ensure_tables(database)

    use_everything(database)
    with database.reading() as tx:
        assert [row["status"] for row in rows.image_rows(tx)] == ["succeeded", "rejected"]


def test_a_login_that_may_not_create_uses_the_tables_of_a_dba(
    postgres_place: MetadataPlace, owner: Engine, login: Callable[[str], Database]
) -> None:
    with owner.begin() as connection:
        for statement in filter(str.strip, print_ddl("postgresql", postgres_place.names).split(";\n")):
            connection.exec_driver_sql(statement)
    database, reader = login("midjourney"), login("analysts")
    _, writing, reading = statements("Rights on the database")
    grant(owner, postgres_place, writing, database, "midjourney")
    grant(owner, postgres_place, reading, reader, "analysts")

    ensure_tables(database, manage_schema=False)
    use_everything(database)

    schema = postgres_place.names.schema
    with pytest.raises(ProgrammingError, match="permission denied"), database.writing() as tx:
        tx.connection.execute(text(f"CREATE TABLE {schema}.other (id int)"))
    with reader.reading() as tx:
        found = tx.connection.execute(text(f"SELECT caption FROM {schema}.image_prompts_current")).scalars().all()
        assert found == ["one"]
    with pytest.raises(ProgrammingError, match="permission denied"), reader.writing() as tx:
        tx.connection.execute(tx.tables.images.delete())


@pytest.fixture
def described(postgres_place: MetadataPlace) -> Iterator[Database]:
    """Tables in which one image was described for ten cents, and one submission was refused."""
    database = open_database(postgres_place.url, postgres_place.names)
    ensure_tables(database)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("incoming/boat.jpg"), rows.listed("incoming/lake.jpg")])
        batch = rows.open_batch(tx)
        account = replace(rows.ACCOUNT, price=Decimal("0.1"), currency="USD")
        row = rows.submit_next(tx, batch, account=account)
        assert rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        _, wanted = rows.claim_next(tx, batch, account=account)
        submissions.refused(tx, wanted.submit_token, Reason.BANNED, PostFacts())
    yield database
    database.close()


def run(database: Database, statement: str) -> Any:
    """Run a statement of the document where the tables are."""
    with database.writing() as tx:
        tx.connection.execute(text(f"SET LOCAL search_path TO {database.names.schema}"))
        result = tx.connection.execute(text(statement))
        return [dict(row) for row in result.mappings()] if result.returns_rows else result.rowcount


def test_todays_spend_is_what_the_caps_count(described: Database) -> None:
    ((query,),) = statements("Today's spend")

    (found,) = run(described, query)

    with described.reading() as tx:
        spent = budgets.spent_today(tx, rows.ACCOUNT.identity)
    assert (found["submissions"], found["cost"]) == (spent.submissions, spent.cost) == (1, Decimal("0.1"))
    assert (found["account"], found["dag_id"], found["currency"]) == (rows.ACCOUNT.identity, "dag", "USD")


def test_a_prompt_is_corrected_as_the_document_says(described: Database) -> None:
    ((update,),) = statements("A prompt corrected by hand")

    assert run(described, update) == 1

    with described.reading() as tx:
        assert [row["prompt_2"] for row in rows.image_rows(tx)] == ["a red boat on a lake at dawn", None]


def test_what_is_dropped_at_the_end_is_all_that_was_made(described: Database) -> None:
    ((*drops,),) = statements("Uninstalling")

    for statement in drops:
        run(described, statement)

    with described.reading() as tx:
        inspector = inspect(tx.connection)
        schema = described.names.schema
        assert (inspector.get_table_names(schema), inspector.get_view_names(schema)) == ([], [])
