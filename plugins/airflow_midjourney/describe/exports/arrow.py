"""Columns for Arrow and Parquet: those of img2dataset, with those of the metadata table beside them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.exports.format import Sample
from airflow_midjourney.describe.exports.selection import Choose
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_midjourney.describe.queries.rows import DescribedImage

#: img2dataset counts its samples in shards of so many.
_SHARD: Final = 10_000

#: Rows turned into columns at once.
_TOGETHER: Final = 1000


def arrow_table(images: Iterable[DescribedImage], choose: Choose) -> Any:
    """Put rows into a table in memory, as columns.

    :param choose: whose texts the captions are: all prompts of a row as described, or the approved one if it has it.
    :raises SettingsError: if pyarrow is not installed.
    """
    pyarrow, _ = load_pyarrow()
    samples = (_sample(image, choose, number) for number, image in enumerate(images))
    batches = []
    while some := list(islice(samples, _TOGETHER)):
        batches += table_of([row(sample) for sample in some]).to_batches()
    return pyarrow.Table.from_batches(batches, schema=schema())


def _sample(image: DescribedImage, choose: Choose, number: int) -> Sample:
    if choose is Choose.REVIEWED and image.caption is not None:
        return Sample(image, (image.caption,), "", "", number, caption_source=image.caption_source)
    return Sample(image, image.prompts, "", "", number, caption_source="prompt_1" if image.prompts else None)


def concatenated(tables: list[Any]) -> Any:
    """Put tables below each other, without holding their contents twice."""
    pyarrow, _ = load_pyarrow()
    return pyarrow.concat_tables(tables)


def table_of(rows: list[dict[str, Any]]) -> Any:
    """Give some rows as columns."""
    pyarrow, _ = load_pyarrow()
    return pyarrow.Table.from_pylist(rows, schema=schema())


def schema() -> Any:
    """Give the columns: first those of img2dataset, then ours."""
    pyarrow, _ = load_pyarrow()
    text, number, moment = pyarrow.string(), pyarrow.int32(), pyarrow.timestamp("us", tz="UTC")
    return pyarrow.schema(
        [
            ("url", text),
            ("caption", text),
            ("key", text),
            ("status", text),
            ("error_message", text),
            ("width", number),
            ("height", number),
            ("original_width", number),
            ("original_height", number),
            ("exif", text),
            ("sha256", text),
            ("captions", pyarrow.list_(text)),
            ("prompts", pyarrow.list_(text)),
            ("prompt_raw", text),
            ("aspect_ratio", text),
            ("bot_type", text),
            ("describe_status", text),
            ("reason", text),
            ("bucket", text),
            ("object_key", text),
            ("image_version", text),
            ("version_id", text),
            ("is_current", pyarrow.bool_()),
            ("size_bytes", pyarrow.int64()),
            ("media_type", text),
            ("last_modified", moment),
            ("parser_version", number),
            ("price", pyarrow.decimal128(18, 6)),
            ("currency", text),
            ("submitted_at", moment),
            ("finished_at", moment),
            ("ended_at", moment),
            ("dag_id", text),
            ("run_id", text),
            ("caption_source", text),
            ("decision", text),
            ("reviewer", text),
            ("reviewed_at", moment),
        ]
    )


def row(sample: Sample) -> dict[str, Any]:
    """Give one row. ``key`` numbers the samples as img2dataset does; the object's key is ``object_key``."""
    image = sample.image
    described = image.status == Status.SUCCEEDED
    facts = {name: getattr(image, name, None) for name in _SAME_NAMES}
    return facts | {
        "url": image.image_uri,
        "caption": sample.caption,
        "caption_source": sample.caption_source,
        "key": f"{sample.number // _SHARD:05}{sample.number % _SHARD:04}",
        "status": "success" if described else "failed_to_describe",
        "error_message": None if described else ": ".join(filter(None, (image.reason, image.detail))) or None,
        "original_width": image.width,
        "original_height": image.height,
        "exif": None,
        "sha256": image.content_sha256,
        "captions": list(sample.captions),
        "prompts": list(image.prompts),
        "describe_status": image.status,
        "object_key": image.key,
        "price": image.price,
    }


_SAME_NAMES: Final = (
    "width",
    "height",
    "prompt_raw",
    "aspect_ratio",
    "bot_type",
    "reason",
    "bucket",
    "image_version",
    "version_id",
    "is_current",
    "size_bytes",
    "media_type",
    "last_modified",
    "parser_version",
    "currency",
    "submitted_at",
    "finished_at",
    "ended_at",
    "dag_id",
    "run_id",
    "decision",
    "reviewer",
    "reviewed_at",
)


def load_pyarrow() -> tuple[Any, Any]:
    """Load pyarrow when it is needed, not when a DAG is read.

    :raises SettingsError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SettingsError(
            "Parquet needs pyarrow on the worker: pip install 'airflow-provider-midjourney[parquet]'."
        ) from None
    return pyarrow, pyarrow.parquet
