"""Gallery, pictures and describing again as the API server answers: no more than the reader may see, read and do."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ObjectDeniedError,
    ObjectUnavailableError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table import batches
from airflow_midjourney.web.pages import pictures
from airflow_midjourney.web.pictures import REFUSED_IN_A_ROW, Pictures
from airflow_midjourney.web.security.signing import seal
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.batch_scenes import HOSTILE
from tests.support.dag_by_dag import name_of
from tests.support.example_dags import known_to_airflow
from tests.support.gallery_scenes import PROMPTS, Scene, set_the_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mypy_boto3_s3 import S3Client
    from starlette.testclient import TestClient

    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Database

EDITOR = name_of(reads="archive product_photos uploads", edits="archive")
READER = name_of(reads="archive product_photos uploads")


@pytest.fixture
def scene(table: Database, s3: S3Client, s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Photographs with prompts and without, which the API server may read."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key"))
    monkeypatch.setattr(pictures, "_pictures", Pictures())
    return set_the_scene(table, s3, bucket)


@pytest.fixture
def get(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Ask as a user: ``get("gallery?text=cat", name=READER)``."""

    def answer(address: str, name: str = READER, **headers: str) -> Any:
        sent = as_user(None, name) | {key.replace("_", "-"): value for key, value in headers.items()}
        return api.get(f"/midjourney/{address}", headers=sent)

    return answer


def failed_rows(table: Database) -> list[int]:
    with table.reading() as tx:
        return [row["id"] for row in rows.image_rows(tx) if row["reason"] == "service_error"]


# What is shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=GINGER", ["cat.jpg"]),
        ("text=%25", []),
        ("status=failed&text=cat", ["cat.jpg"]),
        ("reason=banned", ["coffee.webp"]),
        ("status=in_doubt", ["moon.png"]),
        ("dag_id=product_photos&status=pending", ["coffee (copy).webp", "motorcycle, large.png"]),
        ("run_id=manual__by+hand&reason=timeout", ["galaxies.jpg"]),
        ("bot_type=NIJI_JOURNEY", []),
        ("status=&reason=&text=&prefix=&dag_id=product_photos", sorted(PROMPTS)),
        ("dag_id=product_photos", sorted(PROMPTS)),
        ("status=any&reason=&text=&prefix=", None),
    ],
)
def test_what_is_filtered_can_be_linked_to(
    query: str, found: list[str] | None, scene: Scene, get: Callable[..., Any]
) -> None:
    answer = get(f"gallery?{query}")

    assert answer.status_code == 200
    names = sorted(re.findall(r'<h2><a href="image\?id=\d+"><bdi>[^<]*/([^</]+)</bdi>', answer.text))
    assert names == found if found is not None else len(names) > 10


def test_a_prefix_may_be_typed_without_its_scheme(scene: Scene, get: Callable[..., Any]) -> None:
    answer = get(f"gallery?status=any&prefix={scene.bucket}/archive/")

    assert answer.text.count('<li class="card image">') == 7
    assert f'value="s3://{scene.bucket}/archive/"' in answer.text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("gallery?status=happy", 422),
        ("gallery?status=billed", 422),
        ("gallery?beside=made-up", 400),
        ("failures?reason=bad+luck", 422),
        ("image?id=999", 404),
        ("image?id=one", 422),
        (f"image?id={2**63}", 422),
        (f"picture?id={2**63}", 422),
        (f"again?id={2**63}", 422),
        ("picture?id=1&size=enormous", 422),
        ("asked?request_id=asked/none", 404),
        ("again?" + "&".join(f"id={number}" for number in range(501)), 422),
    ],
)
def test_addresses_that_make_no_sense_are_answered_in_words(
    address: str, status: int, scene: Scene, get: Callable[..., Any]
) -> None:
    answer = get(address)

    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_a_cursor_is_good_for_the_filters_it_was_made_for(
    scene: Scene, get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_midjourney.web.pages.failures.FAILURES_ON_A_PAGE", 2)
    (following,) = re.findall(
        r'rel="next" href="failures?(\?[^"]+)"|rel="next" href="(\?[^"]+)"', get("failures?reason=service_error").text
    )
    query = next(filter(None, following)).replace("&amp;", "&")

    assert "archive/1994/astronaut.png" in get(f"failures{query}").text
    assert get(f"failures{query.replace('service_error', 'banned')}").status_code == 400


@pytest.mark.parametrize(
    "address", ["gallery?dag_id=uploads", "image?id={evil}", "again?id={evil}", "gallery?text={text}"]
)
def test_hostile_keys_and_prompts_are_text(
    address: str, scene: Scene, table: Database, get: Callable[..., Any]
) -> None:
    with table.reading() as tx:
        evil = next(row["id"] for row in rows.image_rows(tx) if HOSTILE in row["key"])
    answer = get(address.format(evil=evil, text="<script>alert(1)</script>"), name_of(reads="uploads", edits="uploads"))

    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "\u202e" not in answer.text


# Pictures


def test_a_picture_is_small_bare_and_kept_by_its_viewer_alone(
    scene: Scene, s3: S3Client, get: Callable[..., Any]
) -> None:
    answer = get(f"picture?id={scene.described['cat.jpg']}")
    again = get(f"picture?id={scene.described['cat.jpg']}", if_none_match=answer.headers["etag"])

    shown = Image.open(io.BytesIO(answer.content))
    assert (shown.format, max(shown.size)) == ("JPEG", 451)
    assert answer.headers["cache-control"] == "private, max-age=86400"
    assert (again.status_code, again.content) == (304, b"")


def test_a_larger_picture_is_bounded_too(scene: Scene, get: Callable[..., Any]) -> None:
    sizes = [
        max(Image.open(io.BytesIO(get(f"picture?id={scene.described['galaxies.jpg']}{size}").content)).size)
        for size in ("", "&size=large")
    ]

    assert sizes == [480, 1000]


def test_a_version_that_was_replaced_is_not_shown_as_another(
    scene: Scene, s3: S3Client, get: Callable[..., Any]
) -> None:
    s3.put_object(Bucket=scene.bucket, Key="products/2026-11/cat.jpg", Body=b"another")

    answer = get(f"picture?id={scene.described['cat.jpg']}")

    assert answer.headers["content-type"] == "image/svg+xml"
    assert "replaced since" in answer.text
    assert answer.headers["cache-control"] == "private, max-age=30"


@pytest.mark.parametrize(
    ("allowed", "status", "words"),
    [
        (["s3://elsewhere/*"], 200, "may not be read from here"),
        ("not a pattern", 503, "S3 cannot be read from here"),
    ],
    ids=["elsewhere", "no pattern"],
)
def test_what_the_connection_does_not_allow_is_not_read(
    allowed: object,
    status: int,
    words: str,
    scene: Scene,
    get: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = connections.midjourney("https://mj.example", "a-key", allowed_uris=allowed)
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", told)

    answer = get(f"picture?id={scene.described['cat.jpg']}")

    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("gone", ["AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_CONN_MIDJOURNEY_DEFAULT"])
def test_without_a_connection_the_pages_are_text_under_one_banner(
    gone: str,
    scene: Scene,
    get: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv(gone)
    pictures._warned.clear()

    answers = [get(f"picture?id={number}") for number in list(scene.described.values())[:3]]

    assert {answer.status_code for answer in answers} == {503}
    assert "aws_default" not in answers[0].text
    assert len(warnings(caplog)) == 1
    assert "ginger cat" in get("gallery").text


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if line.startswith("No picture of row")]


def refuse(monkeypatch: pytest.MonkeyPatch, error: DescribeError, keys: Collection[str] | None = None) -> list[str]:
    """Let S3 refuse some objects, or all, and give the keys that it is asked for."""
    asked: list[str] = []
    read = ImageStore.read

    def answer(store: ImageStore, image: ListedImage) -> Any:
        asked.append(image.key)
        if keys is not None and not any(image.key.endswith(key) for key in keys):
            return read(store, image)
        # As S3 has it, the words name the object.
        raise type(error)(f"{image.key}: {error}", code=error.code)

    pictures._warned.clear()
    monkeypatch.setattr(ImageStore, "read", answer)
    return asked


@pytest.mark.parametrize(
    "error",
    [
        StorageDeniedError("S3 does not accept the credentials.", code="ExpiredToken"),
        StorageError("The bucket does not exist.", code="NoSuchBucket"),
        StorageUnavailableError("S3 is not able to answer.", code="SlowDown"),
    ],
    ids=lambda error: str(error.code),
)
def test_what_is_wrong_for_all_objects_is_met_and_said_once(
    error: DescribeError,
    scene: Scene,
    get: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = refuse(monkeypatch, error)

    answers = [get(f"picture?id={number}") for number in list(scene.described.values())[:4]]

    assert {answer.status_code for answer in answers} == {503}
    assert (len(asked), len(warnings(caplog))) == (1, 1)


def test_where_every_object_is_denied_the_page_and_the_log_say_so_once(
    scene: Scene, get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = refuse(monkeypatch, ObjectDeniedError("Grant s3:GetObject.", code="AccessDenied"))

    answers = [get(f"picture?id={number}") for number in list(scene.described.values())[:7]]

    assert [answer.status_code for answer in answers] == [200] * 4 + [503] * 3
    assert (len(asked), len(warnings(caplog))) == (REFUSED_IN_A_ROW, 1)


@pytest.mark.parametrize("kind", [ObjectDeniedError, ObjectUnavailableError])
def test_single_objects_that_are_refused_hide_no_others(
    kind: type[DescribeError], scene: Scene, get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, *others = scene.described
    refuse(monkeypatch, kind("Not this one.", code="AccessDenied"), [refused])

    answers = []
    for other in others[:3]:
        answers += [get(f"picture?id={scene.described[name]}") for name in (*[refused] * 4, other)]

    assert [answer.headers["content-type"] for answer in answers] == (["image/svg+xml"] * 4 + ["image/jpeg"]) * 3


def test_storage_that_is_away_is_asked_and_warned_of_once_in_a_while(
    scene: Scene, get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[str] = []
    whole = pictures._pictures._store
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws("http://127.0.0.1:9"))

    def open_store(connection: Any) -> Any:
        opened.append(connection.aws_conn_id)
        return whole(connection)

    monkeypatch.setattr(pictures._pictures, "_store", open_store)
    pictures._warned.clear()
    answers = [get(f"picture?id={number}") for number in list(scene.described.values())[:3]]

    assert {answer.status_code for answer in answers} == {503}
    assert opened == ["aws_default"]
    assert len([line for line in caplog.messages if line.startswith("No picture of row")]) == 1
    assert get("gallery").text.count("data-no-pictures") == 1


def test_pictures_can_be_turned_off(scene: Scene, get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__GALLERY_IMAGES", "False")

    assert "picture?id" not in get("gallery").text
    assert "picture?id" not in get(f"image?id={scene.described['cat.jpg']}").text
    assert get(f"picture?id={scene.described['cat.jpg']}").status_code == 404


# Describing again


@pytest.fixture
def post(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Send the form of the question: ``post(question, EDITOR)``."""

    def answer(question: str, name: str = EDITOR, **headers: str) -> Any:
        sent = as_user(None, name) | {key.replace("_", "-"): value for key, value in headers.items()}
        return api.post("/midjourney/describe-again", data={"question": question}, headers=sent, follow_redirects=False)

    return answer


def question_of(page: str) -> str:
    (question,) = re.findall(r'name="question" value="([^"]+)"', page)
    return str(question)


def pending(table: Database, ids: list[int]) -> int:
    with table.reading() as tx:
        return sum(row["status"] == "pending" for row in rows.image_rows(tx) if row["id"] in ids)


def test_it_asks_with_the_price_then_does_it_once(
    scene: Scene, table: Database, get: Callable[..., Any], post: Callable[..., Any]
) -> None:
    ids = failed_rows(table)
    page = get("again?" + "&".join(f"id={one}" for one in ids), EDITOR).text
    assert "Describe 3 images again?" in page
    assert "<strong>0.15 USD</strong>" in page
    assert "at most" not in page
    assert pending(table, ids) == 0

    answers = [post(question_of(page)), post(question_of(page))]

    assert {answer.status_code for answer in answers} == {303}
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert pending(table, ids) == 3
    asked = get(answers[0].headers["location"], EDITOR).text
    assert "3 images are to be described again" in asked
    with table.reading() as tx:
        (request,) = tx.connection.execute(tx.tables.requests.select()).mappings()
    assert request["asked_by"] == EDITOR


def test_rows_that_one_may_only_read_are_neither_offered_nor_taken(
    scene: Scene, table: Database, get: Callable[..., Any], post: Callable[..., Any]
) -> None:
    ids = failed_rows(table)
    mixed = f"again?id={ids[0]}&id={scene.described['cat.jpg']}"

    page = get(mixed, EDITOR).text
    none = get(mixed, READER).text

    assert "Describe 1 image again?" in page
    assert "1 of <bdi>product_photos</bdi>, which you may not edit" in page
    assert 'name="question"' not in none
    assert "Describe again&hellip;" not in get(f"image?id={scene.described['cat.jpg']}", EDITOR).text


def test_a_right_that_was_taken_away_meanwhile_counts(scene: Scene, table: Database, post: Callable[..., Any]) -> None:
    ids = failed_rows(table)
    question = {"user": READER, "request": "asked/1", "seen": [[one, "failed", None] for one in ids], "price": None}

    answer = post(seal("describe again", question), READER)

    assert answer.status_code == 403
    assert pending(table, ids) == 0


def test_a_question_that_was_made_up_or_asked_of_another_is_refused(
    scene: Scene, table: Database, get: Callable[..., Any], post: Callable[..., Any]
) -> None:
    ids = failed_rows(table)
    question = question_of(get(f"again?id={ids[0]}", EDITOR).text)
    elsewhere = seal(
        "cursor ?",
        {"user": EDITOR, "request": "asked/1", "seen": [[one, "failed", None] for one in ids], "price": None},
    )

    # Not the last character: some of its bits are no part of the signature.
    assert post(("B" if question[0] == "." else ".") + question[1:]).status_code == 400
    assert post(question[:-2] + ("A" if question[-2] != "A" else "B") + question[-1]).status_code == 400
    assert post(elsewhere).status_code == 400
    assert post(question, name_of(reads="archive", edits="archive")).status_code == 403
    assert pending(table, ids) == 0


def test_other_sites_cannot_press_the_button(
    scene: Scene, table: Database, get: Callable[..., Any], post: Callable[..., Any]
) -> None:
    ids = failed_rows(table)
    question = question_of(get(f"again?id={ids[0]}", EDITOR).text)

    assert post(question, sec_fetch_site="cross-site").status_code == 403
    assert post(question, origin="https://evil.example").status_code == 403
    assert pending(table, ids) == 0
    assert post(question, sec_fetch_site="same-origin").status_code == 303


def test_a_question_does_not_wait_for_ever(
    scene: Scene, table: Database, get: Callable[..., Any], post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = failed_rows(table)
    question = question_of(get(f"again?id={ids[0]}", EDITOR).text)
    monkeypatch.setattr("airflow_midjourney.web.pages.redescribe.LONGEST_THOUGHT", -1)

    assert post(question).status_code == 400
    assert pending(table, ids) == 0


# Which run will send them


@pytest.mark.parametrize(
    ("task_id", "values", "backlog", "told"),
    [
        ("submit", {}, "own", "by the next run of"),
        ("submit", {"is_paused": True}, "own", "The DAG is paused: its runs wait until it is switched on."),
        ("submit", {"schedule": None}, "own", "No run of it is planned: trigger it."),
        ("submit", {}, "none", "backlog=none"),
        ("describe", {}, "own", "the DAG has no task of this name any more"),
        ("submit", {"is_stale": True}, "own", "its DAG is not in Airflow any more"),
    ],
    ids=["next run", "paused", "no schedule", "no backlog", "a renamed task", "a deleted DAG"],
)
def test_it_says_which_run_will_send_them_or_that_none_will(
    task_id: str,
    values: dict[str, Any],
    backlog: str,
    told: str,
    scene: Scene,
    table: Database,
    get: Callable[..., Any],
    post: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")
    known_to_airflow("archive", task_id, **values)
    with table.writing() as tx:
        options = BatchOptions(backlog=backlog)  # type: ignore[arg-type]
        batches.open_batch(tx, Scope(scene.bucket, ("archive/",)), options, Origin("archive", "later", "submit"))
    ids = failed_rows(table)
    nothing_promised = told in ("backlog=none",) or "any more" in told

    asks = get("again?" + "&".join(f"id={one}" for one in ids), EDITOR).text
    asked = get(post(question_of(asks)).headers["location"], EDITOR).text

    for page in (asks, asked):
        assert told in page
        assert ("by the next run of" in page) is not nothing_promised
        command = f"airflow dags trigger describe_images --conf &#39;{{&#34;bucket&#34;: &#34;{scene.bucket}&#34;"
        assert (command in page) is nothing_promised
