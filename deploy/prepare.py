"""The step ``airflow-init`` of docker-compose.yml: make what is missing, and say clearly what is wrong.

Safe to repeat. What it needs is read from the environment that all of Airflow's processes share.
"""

# ruff: noqa: T201 - what it prints is for the person who runs it

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError
from psycopg2 import sql
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.errors import DescribeError, ServiceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = ("404", "NoSuchBucket")


class PreparationError(Exception):
    """Something that only a person can put right; the message says what."""


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """A database whose owner may use no other one."""

    name: str
    owner: str
    password: str


def main() -> int:
    """Run all steps; returns the exit status."""
    try:
        read_connections()
        make_databases()
        ask_service()
        make_bucket(os.environ["IMAGES_BUCKET"])
        make_tables()
        migrate()
        make_admin()
    except PreparationError as error:
        _say(f"STOPPED. {error}")
        return 1
    _say("all is ready.")
    return 0


def read_connections() -> dict[str, Any]:
    """Read the connections from the environment, as Airflow will; give them by name.

    :raises PreparationError: if one is no JSON.
    """
    connections = {}
    for name in ("MIDJOURNEY_DEFAULT", "AWS_DEFAULT", "IMAGE_PROMPTS_DB"):
        try:
            connections[name] = json.loads(os.environ[f"AIRFLOW_CONN_{name}"])
        except ValueError as error:
            # The text holds a password: say where it breaks, not what it is.
            raise PreparationError(
                f"The connection {name.lower()} is not JSON: {error}. Check the values in .env: MIDJOURNEY_EXTRA must"
                " be a JSON object, and no value may have a double quote or a backslash."
            ) from None
    return connections


def make_databases() -> None:
    """Make Airflow's database and the one of the prompts, each with its own owner, on one server.

    :raises PreparationError: if the server refuses.
    """
    airflow = make_url(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    prompts = read_connections()["IMAGE_PROMPTS_DB"]
    databases = (
        OwnDatabase(str(airflow.database), str(airflow.username), str(airflow.password)),
        OwnDatabase(prompts["schema"], prompts["login"], prompts["password"]),
    )
    try:
        server = psycopg2.connect(
            host=airflow.host,
            port=airflow.port,
            user="postgres",
            password=os.environ["POSTGRES_PASSWORD"],
            dbname="postgres",
            connect_timeout=10,
        )
    except psycopg2.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise PreparationError(f"Postgres cannot be reached: {_first_line(error)}") from None
        raise PreparationError(
            "Postgres refuses POSTGRES_PASSWORD. Its volume was made with another .env: put that one back. To throw all"
            " its data away instead: docker compose down --volumes."
        ) from None
    server.autocommit = True
    with closing(server), server.cursor() as cursor:
        for database in databases:
            _make_database(cursor, database)
    _say(f"databases {' and '.join(database.name for database in databases)} are there.")


def _make_database(cursor: Any, database: OwnDatabase) -> None:
    name, owner = sql.Identifier(database.name), sql.Identifier(database.owner)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (database.owner,))
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD %s").format(verb, owner), (database.password,))
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database.name,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))


def migrate() -> None:
    """Bring Airflow's own tables up to date.

    :raises PreparationError: if Airflow cannot.
    """
    _airflow("db", "migrate")


def make_admin() -> None:
    """Make the admin unless there is one of this name; a password that was changed since stays.

    :raises PreparationError: if Airflow cannot.
    """
    user = os.environ["ADMIN_USER"]
    person = ("--firstname", user, "--lastname", user, "--email", f"{user}@localhost.invalid")
    _airflow(
        *("users", "create", "--username", user, "--role", "Admin", *person),
        # In one word: a password may begin with a dash.
        f"--password={os.environ['ADMIN_PASSWORD']}",
    )


def make_bucket(bucket: str) -> None:
    """Make the bucket where it is missing.

    :raises PreparationError: if S3 refuses.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    client = cast("S3Client", S3Hook("aws_default").get_conn())
    try:
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            client.create_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise PreparationError(
            f"S3 at {client.meta.endpoint_url} does not let us use the bucket {bucket}: {_first_line(error)}. Check"
            " S3_ACCESS_KEY, S3_SECRET_KEY, S3_ENDPOINT and IMAGES_BUCKET in .env."
        ) from None
    _say(f"bucket {bucket} is there.")


def make_tables() -> None:
    """Make the metadata tables, or bring them up to date.

    :raises PreparationError: if the database refuses.
    """
    from airflow_midjourney.hooks.image_prompts import open_metadata

    try:
        open_metadata().close()
    except DescribeError as error:
        raise PreparationError(str(error)) from None
    _say("metadata tables are there.")


def ask_service() -> None:
    """Ask the describe service for something that costs nothing: does it know the key?

    A service that is away is no reason not to start; a refusal is.

    :raises PreparationError: if it refuses the key, or the connection makes no sense.
    """
    from airflow_midjourney.hooks.midjourney import MidjourneyHook

    async def ask() -> None:
        async with MidjourneyHook().get_conn() as client:
            await client.check_access()

    try:
        asyncio.run(ask())
    except ServiceUnavailableError as error:
        _say(f"WARNING: the describe service does not answer now: {error}")
    except DescribeError as error:
        raise PreparationError(f"{error} Check MIDJOURNEY_URL, MIDJOURNEY_KEY and MIDJOURNEY_EXTRA in .env.") from None
    else:
        _say("the describe service lets the key read.")


def _airflow(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", *arguments], check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise PreparationError(f"airflow {' '.join(arguments[:2])} failed; what it said is above.")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _say(text: str) -> None:
    print(f"airflow-init: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
