"""A free read proves that a key may read, before the first image is paid for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from airflow_midjourney.describe.engine.submit import has_access
from airflow_midjourney.describe.model.errors import (
    ServiceUnavailableError,
)
from tests.support import rows
from tests.support.sending import AWAY, Scene

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch


def may_read(scene: Scene, batch: Batch | None = None) -> bool:
    return cast("bool", scene.run(lambda: has_access(scene.worker, batch or scene.batch)))


def test_a_key_that_may_read_is_remembered(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="no answer", blocked_until=tx.now))

    assert may_read(scene)
    assert may_read(scene)

    assert scene.service.asked == ["access"]
    assert not scene.state.is_blocked


def test_while_the_breaker_is_open_no_read_is_made(scene: Scene) -> None:
    scene.change(lambda tx: rows.set_account(tx, blocked_reason="no answer", blocked_until=tx.now + timedelta(hours=1)))

    assert not may_read(scene)
    assert scene.service.asked == []
    assert not scene.worker.access_checked


def test_a_service_that_was_heard_in_this_try_and_is_away_now_is_waited_for(scene: Scene) -> None:
    scene.service.access = AWAY
    scene.change(lambda tx: rows.set_account(tx, answered_at=scene.batch.tried_at + timedelta(seconds=1)))

    assert not may_read(scene)

    assert not scene.worker.access_checked
    assert (scene.state.blocked_reason, scene.state.submit_failing_since is None) == ("no answer to a read", False)


def test_a_service_that_was_not_heard_in_this_try_stops_the_run(scene: Scene) -> None:
    scene.service.access = AWAY
    scene.change(lambda tx: rows.set_account(tx, answered_at=rows.LONG_AGO))

    with pytest.raises(ServiceUnavailableError):
        may_read(scene)

    assert scene.state.blocked_reason == "no answer to a read"
