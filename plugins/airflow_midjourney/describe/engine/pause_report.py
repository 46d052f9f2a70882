"""Lines for the log of every task that waits, on its worker or in the triggerer, while no image may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.submit_window import Opening
    from airflow_midjourney.describe.table.accounts import AccountState


class PauseReport:
    """Say once that no image is sent, because a person paused the account or by the hours of its connection.

    That it goes on is said once, too.

    :param write: takes one line, for instance a logger's ``info``.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._pause = ""
        self._opening: Opening | None = None

    def tell(self, progress: Progress) -> None:
        """Write a line for what has changed since the last one."""
        self._tell_pause(progress.account)
        self._tell_hours(progress)

    def _tell_pause(self, account: AccountState) -> None:
        if account.pause == self._pause:
            return
        self._pause = account.pause
        if account.pause:
            self._write(
                f"The account is paused {account.pause}: no image is sent until a person resumes it, on the page of"
                " the batch or by the DAG midjourney_pause. What is on its way is still fetched."
            )
        else:
            self._write(f"The account goes on: it was resumed by {account.resumed_by or 'hand, in the database'}.")

    def _tell_hours(self, progress: Progress) -> None:
        opening = progress.opening if progress.open.to_submit else None
        if opening == self._opening:
            return
        if opening is not None:
            self._write(
                f"Submissions wait until {opening}, by the extra submit_window of the connection. What is on its way"
                " is still fetched."
            )
        elif progress.opening is None:
            self._write("Submissions go on: the connection's submit_window is open.")
        self._opening = opening
