"""What one image's way to the service writes, and which others follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.clock import awake_or_asleep
from airflow_midjourney.describe.model.errors import (
    ObjectDeniedError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.service.callback_url import digest_of
from airflow_midjourney.describe.service.submit_response import (
    Ambiguous,
    Denied,
    HeldBack,
    Refused,
    Unavailable,
)
from airflow_midjourney.describe.table.doubt import lost_intents
from tests.support import rows
from tests.support.sending import ACCOUNT, FULL, YES, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.doubt.lost_intents import Sent


@pytest.mark.parametrize(
    ("answer", "others_follow"),
    [
        (YES, True),
        (FULL, False),
        (Unavailable(None, 502, None, "bad gateway"), False),
        (Ambiguous(500, None, "error"), False),
        (Refused(Reason.BANNED, 200, 24, "banned"), True),
        (HeldBack("held back"), True),
        (Denied("forbidden", 403, None, "firewall"), True),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else str(value),
)
def test_an_answer_that_speaks_against_the_service_keeps_others_from_following(
    scene: Scene, answer: SubmitOutcome, others_follow: bool
) -> None:
    scene.service.answers = [answer]

    assert scene.send() is others_follow

    assert {row["reserved_by"] for row in scene.rows} == {None}


def test_an_image_that_the_service_does_not_want_ends(scene: Scene) -> None:
    scene.service.answers = [Refused(Reason.BANNED, 200, 24, "banned")]

    scene.send()

    assert (scene.statuses[0], scene.rows[0]["reason"]) == (Status.FAILED, Reason.BANNED)
    assert scene.bill == [Outcome.REFUSED]
    assert scene.state.blocked_reason is None


def test_the_post_bears_the_token_of_its_intent_and_ends_before_others_may_send_the_image(scene: Scene) -> None:
    before = awake_or_asleep()

    scene.send()

    (post,) = scene.service.posts
    with scene.database.reading() as tx:
        (entry,) = rows.bill(tx)
    assert post["state"] == entry["submit_token"] == scene.rows[0]["submit_token"]
    assert post["data_uri"].startswith("data:image/jpeg;base64,")
    assert before + ACCOUNT.doubt_grace <= post["complete_before"] <= awake_or_asleep() + ACCOUNT.doubt_grace


def test_the_record_knows_how_long_ago_its_claim_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sent] = []
    write_again = lost_intents.write_again

    def note_and_write(tx: Transaction, posts: Sequence[Sent], account: Any) -> dict[str, datetime]:
        seen.extend(posts)
        return write_again(tx, posts, account)

    monkeypatch.setattr(lost_intents, "write_again", note_and_write)
    before = awake_or_asleep()

    scene.send()

    assert 0.0 <= seen[0].seconds_ago <= awake_or_asleep() - before


@pytest.mark.parametrize("callbacks", [True, False])
def test_a_callback_is_asked_for_where_the_account_has_them_and_its_row_keeps_the_digest(
    database: Database, callbacks: bool
) -> None:
    scene = Scene(database, account=replace(ACCOUNT, callbacks=callbacks))

    scene.send()

    (post,) = scene.service.posts
    assert bool(post["callback"]) is callbacks
    assert scene.rows[0]["callback_digest"] == (digest_of(post["callback"]) if callbacks else None)


def test_an_image_that_cannot_be_sent_ends_and_others_follow(scene: Scene) -> None:
    scene.bodies["0.jpg"] = b"no image"

    assert scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reason"]) == (Status.REJECTED, Reason.UNSUPPORTED_FORMAT)
    assert scene.service.posts == []


def test_an_object_that_s3_denies_is_put_last_and_others_follow(scene: Scene) -> None:
    scene.bodies["0.jpg"] = ObjectDeniedError("denied")

    assert scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reserved_by"]) == (Status.PENDING, None)
    assert row["not_before"] is not None
    assert scene.service.posts == []


def test_where_s3_is_away_the_row_is_free_for_the_next_try(scene: Scene) -> None:
    scene.bodies["0.jpg"] = StorageUnavailableError("away")

    with pytest.raises(StorageUnavailableError):
        scene.send()

    row = scene.rows[0]
    assert (row["status"], row["reserved_by"], row["reservations"]) == (Status.PENDING, None, 0)


@pytest.mark.parametrize("reason", ["no room", "told to stop"])
def test_without_room_or_time_the_row_is_given_back_and_no_other_follows(database: Database, reason: str) -> None:
    scene = Scene(database, account=replace(ACCOUNT, max_in_flight=0 if reason == "no room" else 9))
    scene.worker.told_to_stop = reason == "told to stop"

    assert not scene.send()

    assert scene.statuses[0] is Status.PENDING
    assert scene.rows[0]["reserved_by"] is None
    assert scene.service.posts == []
