"""Parquet in the columns of img2dataset, with those of the metadata table beside them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_midjourney.describe.exports import arrow
from airflow_midjourney.describe.exports.format import ExportFormat
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.format import Files, Sample

_DEFAULT_ROW_GROUP: Final = 10_000

#: Rows turned into columns at once.
_TOGETHER: Final = 500


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
        arrow.load_pyarrow()

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
        _, parquet = arrow.load_pyarrow()
        compression = None if self.compression == "none" else self.compression
        with parquet.ParquetWriter(binary, arrow.schema(), compression=compression, store_schema=False) as writer:
            rows = _Rows(writer, self.row_group_size)
            yield rows
            rows.flush()


class _Rows:
    """Collects rows, and writes a row group whenever there are enough: their sizes do not depend on how rows came.

    As columns, rows take a tenth of the memory that they take as objects, so they become columns soon.
    """

    def __init__(self, writer: Any, size: int) -> None:
        self._writer = writer
        self._size = size
        self._rows: list[dict[str, Any]] = []
        self._columns: list[Any] = []
        self._collected = 0

    def add(self, sample: Sample) -> None:
        self._rows.append(arrow.row(sample))
        self._collected += 1
        if self._collected == self._size:
            self.flush()
        elif len(self._rows) == _TOGETHER:
            self._turn()

    def flush(self) -> None:
        if self._collected:
            self._turn()
            self._writer.write_table(arrow.concatenated(self._columns), row_group_size=self._size)
            self._columns, self._collected = [], 0

    def _turn(self) -> None:
        if self._rows:
            self._columns.append(arrow.table_of(self._rows))
            self._rows = []
