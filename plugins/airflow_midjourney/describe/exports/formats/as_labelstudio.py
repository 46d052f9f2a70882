"""Label Studio: tasks to import, with each prompt as a prediction that an annotator takes, edits or rejects."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_midjourney.describe.exports.facts import facts_of
from airflow_midjourney.describe.exports.format import ExportFormat, Names
from airflow_midjourney.describe.exports.rolling import RollingFile
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.table.reviews.decisions import name_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.format import Files, Sample
    from airflow_midjourney.describe.queries.rows import DescribedImage

#: The labeling interface that tasks are made for; its names are those in the predictions.
LABEL_CONFIG: Final = """\
<View>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="decision" toName="image" choice="single-radio" showInline="true">
    <Choice value="approved"/>
    <Choice value="rejected"/>
  </Choices>
  <TextArea name="caption" toName="image" rows="4" editable="true" maxSubmissions="1"/>
</View>
"""


@dataclass(frozen=True)
class Format(ExportFormat):
    """``tasks-000000.json`` and so on, each a list of tasks, and ``label_config.xml`` for the project.

    :param tasks_per_file: Label Studio reads a file as a whole.
    :param image_root: what stands before the path of a copied image, such as ``/data/local-files/?d=training/latest/``;
        without it, tasks name the image as ``s3://…``, which a storage connected to the project resolves.
    """

    tasks_per_file: int = 10_000
    image_root: str = ""

    names: ClassVar[Names] = Names.PATH

    def __post_init__(self) -> None:
        if not isinstance(self.tasks_per_file, int) or not 1 <= self.tasks_per_file <= 100_000:
            raise SettingsError(f"format_options: tasks_per_file must be 1 to 100,000, not {self.tasks_per_file!r}.")
        if not isinstance(self.image_root, str):
            raise SettingsError(f"format_options: image_root must be text, not {self.image_root!r}.")

    def image_path(self, sample: Sample) -> str:
        """Give where the image goes, if it is copied along."""
        return f"images/{super().image_path(sample)}"

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open a split's first file with its first task."""
        files.put("label_config.xml", LABEL_CONFIG.encode())
        with ExitStack() as stack:
            tasks = {split: stack.enter_context(_files_of_tasks(files, split)) for split in splits}
            opened: dict[str, BinaryIO] = {}

            def write(sample: Sample) -> None:
                place = sample.number % self.tasks_per_file
                if place == 0:
                    opened[sample.split] = tasks[sample.split].following()
                line = json.dumps(self._task(sample), ensure_ascii=False, separators=(",", ":"))
                opened[sample.split].write(f"{',' if place else ''}\n{line}".encode())

            yield write

    def _task(self, sample: Sample) -> dict[str, Any]:
        image = f"{self.image_root}{self.image_path(sample)}" if self.image_root else sample.image.image_uri
        return {
            "data": {"image": image, **facts_of(sample), **_shown(sample.image)},
            "predictions": [_prediction(number, caption) for number, caption in enumerate(sample.captions, start=1)],
        }


def _shown(image: DescribedImage) -> dict[str, Any]:
    """Give what an import compares: which answer an annotator is shown, and the newest decision about it."""
    reviewed_at = image.reviewed_at and image.reviewed_at.isoformat()
    return {"answer": name_answer(image.task_id, image.prompts), "reviewed_at": reviewed_at}


def _files_of_tasks(files: Files, split: str) -> RollingFile[BinaryIO]:
    @contextmanager
    def open_list(number: int) -> Iterator[BinaryIO]:
        with files.open(f"{split or 'tasks'}-{number:06}.json") as file:
            file.write(b"[")
            yield file
            file.write(b"\n]\n")

    return RollingFile(open_list)


def _prediction(number: int, caption: str) -> dict[str, Any]:
    region = {
        "id": "caption",
        "from_name": "caption",
        "to_name": "image",
        "type": "textarea",
        "value": {"text": [caption]},
    }
    return {"model_version": f"prompt {number}", "result": [region]}
