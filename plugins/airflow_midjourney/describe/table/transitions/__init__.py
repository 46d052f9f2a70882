"""Every move of a row of the metadata table: from which status, to which, and the columns that it sets and empties.

No other folder writes the column ``status``, and ``updates`` alone makes an UPDATE of this table: each writer names a
move, which rows it is for, and the facts that it brings. Every move is a compare-and-set: a row that is not what its
writer thinks it is stays.

A module has the moves of one kind, as an enum; ``transition`` says what a move is, ``columns`` which columns go
together. For the writers in ``table`` and ``admin``, which import the kinds that they make from here.
"""

from __future__ import annotations

from typing import Final

from airflow_midjourney.describe.table.transitions.columns import SHARED
from airflow_midjourney.describe.table.transitions.doubt import DoubtMove
from airflow_midjourney.describe.table.transitions.duplicates import DuplicateMove
from airflow_midjourney.describe.table.transitions.leases import LeaseMove
from airflow_midjourney.describe.table.transitions.listing import ListingMove
from airflow_midjourney.describe.table.transitions.orders import OrderMove
from airflow_midjourney.describe.table.transitions.results import ResultMove
from airflow_midjourney.describe.table.transitions.submissions import SubmissionMove
from airflow_midjourney.describe.table.transitions.transition import UNLISTED, Move

__all__ = [
    "MOVES",
    "SHARED",
    "UNLISTED",
    "DoubtMove",
    "DuplicateMove",
    "LeaseMove",
    "ListingMove",
    "Move",
    "OrderMove",
    "ResultMove",
    "SubmissionMove",
]

#: All moves, in the order of a row's life.
MOVES: Final[tuple[Move, ...]] = (
    *ListingMove,
    *LeaseMove,
    *SubmissionMove,
    *DoubtMove,
    *ResultMove,
    *DuplicateMove,
    *OrderMove,
)
