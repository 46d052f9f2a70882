"""What lineage is told of a batch: from which prefixes into which table, and how it went. No keys, no prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.lineage import get_hook_lineage_collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseHook

    from airflow_midjourney.describe.model.batch import Batch, Scope
    from airflow_midjourney.describe.table.counts import Counts
    from airflow_midjourney.describe.table.database import Database

#: The name of the run facet.
FACET: Final = "midjourney_batches"

_POSTGRES_PORT: Final = 5432


@dataclass(frozen=True, slots=True)
class LineageFacts:
    """What is known when a task ends. OpenLineage asks in a forked process, which cannot use the database any more.

    :param inputs: datasets as namespace and name.
    :param output: the metadata table, likewise.
    :param batches: the counts of each batch, as plain values.
    """

    inputs: tuple[tuple[str, str], ...]
    output: tuple[str, str]
    batches: tuple[dict[str, Any], ...]


def lineage_facts(database: Database, counted: Iterable[tuple[Batch, Counts]]) -> LineageFacts:
    """Take down what is to be told of some batches."""
    pairs = list(counted)
    inputs = dict.fromkeys(dataset for batch, _ in pairs for dataset in _datasets(batch.scope))
    batches = tuple({"batch": batch.batch_id, **counts.to_json()} for batch, counts in pairs)
    return LineageFacts(tuple(inputs), _table(database), batches)


def operator_lineage(facts: LineageFacts | None) -> OperatorLineage[Any, Any] | None:
    """Give what OpenLineage's extractors expect; None where it is not installed, or nothing is known."""
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import Dataset
    except ImportError:
        return None
    if facts is None:
        return None
    return OperatorLineage(
        inputs=[Dataset(namespace=namespace, name=name) for namespace, name in facts.inputs],
        outputs=[Dataset(namespace=facts.output[0], name=facts.output[1])],
        run_facets={FACET: _facet(facts)},
    )


def tell_collector(hook: BaseHook, scope: Scope, database: Database) -> None:
    """Tell Airflow's collector of hook lineage from where a hook has read images, and into which table it wrote.

    The collector takes notes for readers that a deployment has plugged in, OpenLineage's for one; else it does nothing.
    A table in an SQLite file, for which Airflow has no kind of asset, is told as the file.
    """
    collector = get_hook_lineage_collector()
    for namespace, name in dict.fromkeys(_datasets(scope)):
        bucket = namespace.removeprefix("s3://")
        collector.add_input_asset(hook, scheme="s3", asset_kwargs={"bucket": bucket, "key": name.removeprefix("/")})
    url, table = database.engine.url, database.tables.images
    if database.engine.dialect.name == "sqlite":
        collector.add_output_asset(hook, uri=f"file://{url.database}")
        return
    place = {"host": url.host or "localhost", "port": url.port or _POSTGRES_PORT, "database": url.database}
    named = {"schema": table.schema or "public", "table": table.name}
    collector.add_output_asset(hook, scheme="postgres", asset_kwargs=place | named)


def _facet(facts: LineageFacts) -> Any:
    import attrs
    from openlineage.client.facet_v2 import RunFacet

    @attrs.define
    class MidjourneyBatchesRunFacet(RunFacet):
        batches: list[dict[str, Any]]

    return MidjourneyBatchesRunFacet(batches=list(facts.batches))


def _datasets(scope: Scope) -> Iterator[tuple[str, str]]:
    """Name the prefixes of a scope, or its manifest; single keys by the folders that they are in."""
    if scope.manifest:
        bucket, _, key = scope.manifest.removeprefix("s3://").partition("/")
        yield f"s3://{bucket}", key
    for prefix in scope.prefixes:
        yield f"s3://{scope.bucket}", prefix or "/"
    for key in scope.keys:
        folder = str(PurePosixPath(key).parent)
        yield f"s3://{scope.bucket}", "/" if folder == "." else f"{folder}/"


def _table(database: Database) -> tuple[str, str]:
    """Name the metadata table as OpenLineage names tables; SQLite, which it does not know, by its file."""
    url, table = database.engine.url, database.tables.images
    if database.engine.dialect.name == "sqlite":
        return f"sqlite://{url.database}", table.name
    namespace = f"postgres://{url.host or 'localhost'}:{url.port or _POSTGRES_PORT}"
    return namespace, f"{url.database}.{table.schema or 'public'}.{table.name}"
