"""What a submission can come to, and what follows from it for the bill and for the image."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Self


class Paid(Enum):
    """Whether the service bills a submission."""

    YES = "yes"
    PERHAPS = "perhaps"
    NO = "no"


class Outcome(StrEnum):
    """What a submission came to; the column ``outcome`` of the bill.

    :param paid: whether the service bills it. A submission that is perhaps billed counts as billed in caps and costs,
        until the opposite is known.
    :param speaks_against_image: whether an image that comes to this again and again, while the service accepts others,
        is the reason itself.
    """

    SENT = "sent", Paid.PERHAPS, False
    """The worker committed the intent; no answer is known."""
    ACCEPTED = "accepted", Paid.YES, False
    """The service took the image and gave a task id."""
    REFUNDED = "refunded", Paid.NO, False
    """The service took the image, its task failed there, and the service gives the money back."""
    AMBIGUOUS = "ambiguous", Paid.PERHAPS, False
    """The POST failed in a way in which the service may have taken the image."""
    FULL = "full", Paid.NO, False
    """The service had no room."""
    UNAVAILABLE = "unavailable", Paid.NO, True
    """The service could not take anything, or this."""
    REFUSED = "refused", Paid.NO, False
    """The service does not want this image; its row has failed."""
    DENIED = "denied", Paid.NO, True
    """The service, or a firewall before it, does not let this key submit, or not this image."""
    BROKEN_OFF = "broken_off", Paid.NO, True
    """The POST had no answer, and the service proved later not to have taken the image."""
    NEVER_SENT = "never_sent", Paid.NO, False
    """The worker died, or was held up, before it sent the POST."""

    paid: Paid
    speaks_against_image: bool

    def __new__(cls, value: str, paid: Paid, speaks_against_image: bool) -> Self:
        """Make a member that is its own text."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.paid = paid
        member.speaks_against_image = speaks_against_image
        return member

    @property
    def counts_as_paid(self) -> bool:
        """Whether caps, costs and pages count its price."""
        return self.paid is not Paid.NO


#: Outcomes that may still change: an answer can come, or a list of tasks can tell.
UNDECIDED = (Outcome.SENT, Outcome.AMBIGUOUS)

#: Outcomes of images that the service has taken, whatever became of their tasks.
TAKEN = (Outcome.ACCEPTED, Outcome.REFUNDED)

#: Outcomes that cost nothing.
FREE = tuple(outcome for outcome in Outcome if not outcome.counts_as_paid)

#: Outcomes after which an image that meets them again and again is given up.
TURNED_AWAY = tuple(outcome for outcome in Outcome if outcome.speaks_against_image)
