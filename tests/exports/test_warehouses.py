"""What the document about warehouses says is read: the sources of dbt, and the columns of its queries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from sqlalchemy import text

from airflow_midjourney.describe.exports import arrow
from airflow_midjourney.describe.model.review import OUTDATED, ReviewDecision
from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.table.schema import TableNames, build_tables
from airflow_midjourney.describe.table.schema.current import CURRENT_COLUMNS, current_view
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

PAGE: Final = (Path(__file__).parents[2] / "docs" / "export" / "warehouses.md").read_text()
TABLES: Final = build_tables(TableNames())


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)[number]


def sources() -> list[dict[str, Any]]:
    (source,) = yaml.safe_load(block("yaml"))["sources"]
    tables: list[dict[str, Any]] = source["tables"]
    return tables


def columns_of(table: str) -> set[str]:
    if table == current_view(TABLES.images):
        return {*CURRENT_COLUMNS, *REVIEW_COLUMNS}
    return {column.name for column in TABLES.metadata.tables[table].columns}


@pytest.mark.parametrize("table", sources(), ids=lambda one: str(one["name"]))
def test_the_sources_of_dbt_name_columns_that_exist(table: dict[str, Any]) -> None:
    named = {column["name"] for column in table["columns"]}

    assert named
    assert named <= columns_of(table["name"])


def test_the_sources_of_dbt_name_every_status_and_bot() -> None:
    view = sources()[0]
    accepted = {
        column["name"]: set(test["accepted_values"]["values"])
        for column in view["columns"]
        for test in column.get("data_tests", [])
        if "accepted_values" in test
    }

    assert view["loaded_at_field"] in CURRENT_COLUMNS
    assert accepted == {
        "bot_type": {bot.value for bot in BotType},
        "status": {one.value for one in Status},
        "decision": {ReviewDecision.APPROVED.value, ReviewDecision.REJECTED.value, OUTDATED},
    }


def test_the_sources_of_dbt_refer_to_sources() -> None:
    names = {table["name"] for table in sources()}
    referred = re.findall(r"source\('midjourney', '(\w+)'\)", block("yaml"))

    assert referred
    assert set(referred) <= names


def test_the_join_of_the_document_runs(database: Database) -> None:
    schema = database.names.schema
    with database.writing() as tx:
        tx.connection.execute(text("CREATE TEMPORARY TABLE products (sku text, image_key text)"))
        if schema:
            tx.connection.execute(text(f"SET LOCAL search_path TO {schema}"))

        assert tx.connection.execute(text(block("sql"))).all() == []
        tx.connection.execute(text("DROP TABLE products"))


@pytest.mark.parametrize("query", [block("sql", 1), block("bash")], ids=["Snowflake", "BigQuery"])
def test_queries_name_columns_of_the_parquet_file(query: str) -> None:
    (chosen,) = re.findall(r"SELECT (url, .*?) FROM \S+ WHERE (\w+) =", query)
    named = {re.match(r"\w+", name.strip())[0] for name in (*chosen[0].split(", "), chosen[1])}  # type: ignore[index]

    assert named == {"url", "caption", "prompts", "status"}
    assert named <= set(arrow.schema().names)
