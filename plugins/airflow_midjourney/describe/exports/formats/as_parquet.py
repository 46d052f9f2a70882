"""Parquet in the columns of img2dataset, with those of the metadata table beside them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_midjourney.describe.errors import SettingsError
from airflow_midjourney.describe.exports.format import ExportFormat
from airflow_midjourney.describe.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.format import Files, Sample

#: img2dataset counts its samples in shards of so many.
_SHARD: Final = 10_000

_DEFAULT_ROW_GROUP: Final = 10_000


@dataclass(frozen=True)
class Format(ExportFormat):
    """One file per split. ``url``, ``caption``, ``key``, ``status`` … are what img2dataset and its readers expect.

    :param row_group_size: rows per row group: what is held in memory while writing, and read at once later.
    :param compression: ``zstd``, ``snappy``, ``gzip``, ``lz4`` or ``none``.
    """

    row_group_size: int = _DEFAULT_ROW_GROUP
    compression: str = "zstd"

    needs_prompts: ClassVar[bool] = False
    suffix: ClassVar[str | None] = ".parquet"

    def __post_init__(self) -> None:
        if not isinstance(self.row_group_size, int) or not 1 <= self.row_group_size <= 1_000_000:
            raise SettingsError(f"format_options: row_group_size must be 1 to 1,000,000, not {self.row_group_size!r}.")
        if self.compression not in ("zstd", "snappy", "gzip", "lz4", "none"):
            raise SettingsError(f"format_options: compression {self.compression!r} is none that every reader knows.")
        _pyarrow()

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open one file per split."""
        with ExitStack() as stack:
            writers: dict[str, _Rows] = {}
            for split in splits:
                binary = stack.enter_context(files.open(f"{split or 'prompts'}.parquet"))
                writers[split] = stack.enter_context(self._rows(binary))
            yield lambda sample: writers[sample.split].add(sample)

    @contextmanager
    def _rows(self, binary: BinaryIO) -> Iterator[_Rows]:
        _, parquet = _pyarrow()
        compression = None if self.compression == "none" else self.compression
        with parquet.ParquetWriter(binary, schema(), compression=compression, store_schema=False) as writer:
            rows = _Rows(writer, self.row_group_size)
            yield rows
            rows.flush()


class _Rows:
    """Collects rows, and writes a row group whenever there are enough: their sizes do not depend on how rows came."""

    def __init__(self, writer: Any, size: int) -> None:
        self._writer = writer
        self._size = size
        self._rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        self._rows.append(row(sample))
        if len(self._rows) == self._size:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            pyarrow, _ = _pyarrow()
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=schema()), row_group_size=self._size)
            self._rows = []


def schema() -> Any:
    """Give the columns: first those of img2dataset, then ours."""
    pyarrow, _ = _pyarrow()
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
)


def _pyarrow() -> tuple[Any, Any]:
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
