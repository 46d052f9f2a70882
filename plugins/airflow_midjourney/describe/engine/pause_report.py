"""A line for the log of every task that waits, on its worker or in the triggerer, when a person pauses its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.table.accounts import AccountState


class PauseReport:
    """Say once that an account is paused, by whom and what that means, and once that it goes on.

    :param write: takes one line, for instance a logger's ``info``.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told = ""

    def tell(self, account: AccountState) -> None:
        """Write a line if that has changed since the last one."""
        if account.pause == self._told:
            return
        self._told = account.pause
        if account.pause:
            self._write(
                f"The account is paused {account.pause}: no image is sent until a person resumes it, on the page of"
                " the batch or by the DAG midjourney_pause. What is on its way is still fetched."
            )
        else:
            self._write(f"The account goes on: it was resumed by {account.resumed_by or 'hand, in the database'}.")
