"""What describing a batch would come to: how many images, for how much money, in how much time."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.engine.expected_duration import ExpectedDuration
from airflow_midjourney.describe.service.dialects import services_without
from airflow_midjourney.describe.table.doubt.in_doubt import most_resubmissions

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch, BatchOptions
    from airflow_midjourney.describe.model.status import BotType
    from airflow_midjourney.describe.table.latency import Throughput


@dataclass(frozen=True, slots=True)
class Plan:
    """What describing a batch would cost, at most: the same bytes under two keys are paid for once.

    :param images: that would be submitted, as far as the run's own caps allow.
    :param cost: of all of them; None where no price is set.
    :param highest: the same if the service fails each until its attempts are used up, and some have no answer.
    :param note: what else to know before the images are paid for; empty for nothing.
    :param duration: how long describing them takes; None for no image.
    """

    images: int
    cost: Decimal | None
    currency: str | None
    highest: Decimal | None = None
    note: str = ""
    duration: ExpectedDuration | None = None

    def line(self) -> str:
        """Say it."""
        line = f"Plan only, nothing was submitted: {self.images:,} images would be, at most"
        if self.cost is None:
            line = f"{line}; set the extra 'price' of the connection to see what that costs."
        else:
            line = f"{line}, for {self._money(self.cost)}."
            if self.highest is not None and self.highest > self.cost:
                most = self._money(self.highest)
                line += f" Failures that are tried again and answers that are lost can make it {most} at most."
        return " ".join(filter(None, (line, "" if self.duration is None else self.duration.line(), self.note)))

    def _money(self, cost: Decimal) -> str:
        return f"{cost.normalize():f} {self.currency or ''}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Give plain values for an XCom; money as text."""
        cost = None if self.cost is None else f"{self.cost.normalize():f}"
        seconds = None if self.duration is None else self.duration.likely_seconds
        return {"images": self.images, "cost": cost, "currency": self.currency, "seconds": seconds}


def plan_of(batch: Batch, account: AccountSettings, measured: Throughput | None) -> Plan:
    """Price a batch whose listing has ended, and say how long it takes.

    :param measured: how fast the account's latest answers came; None where there are none.
    """
    number = _within_caps(batch, account, batch.listed.to_describe)
    note = _note_on_the_bot(batch.scope.bot_type)
    duration = ExpectedDuration(number, account, measured) if number else None
    if account.price is None:
        return Plan(number, None, account.currency, note=note, duration=duration)
    highest = _within_caps(batch, account, _most_submissions(batch.options, number))
    return Plan(number, account.price * number, account.currency, account.price * highest, note, duration)


def _most_submissions(options: BatchOptions, images: int) -> int:
    """Give how often so many images may be paid for in all."""
    for_want_of_an_answer = min(images, most_resubmissions(images)) if options.in_doubt == "resubmit" else 0
    return images * options.max_attempts + for_want_of_an_answer


def _note_on_the_bot(bot: BotType) -> str:
    without = services_without(bot)
    if not without:
        return ""
    return (
        f"{' and '.join(without)} has no {bot}: alone or behind a gateway, it bills these images and has its other bot"
        " describe them."
    )


def _within_caps(batch: Batch, account: AccountSettings, number: int) -> int:
    """Give how many of so many submissions the run's own caps allow."""
    options = batch.options
    if options.max_submissions is not None:
        number = min(number, options.max_submissions)
    if options.max_cost is not None and account.price:
        number = min(number, int(Decimal(options.max_cost) // account.price))
    return number
