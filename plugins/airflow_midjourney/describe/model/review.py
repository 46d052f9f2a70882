"""What a person can say about an image's prompts, and what a decision stands for later."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ReviewDecision(StrEnum):
    """One word of a reviewer; the newest about an image counts."""

    APPROVED = "approved"
    REJECTED = "rejected"

    #: The decision before is taken back: the image is undecided again.
    WITHDRAWN = "withdrawn"


#: What stands for a decision about an answer that has been replaced, or ordered anew, since.
OUTDATED: Final = "outdated"

#: Where an approved text comes from: one of the four prompts, by the name of its column, or the reviewer.
EDITED: Final = "edited"
