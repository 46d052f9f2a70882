"""What an address may ask for: types of routes' arguments."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

#: A text that a database takes. No name in Airflow is longer, and none holds a NUL.
AskedText = Annotated[str, Query(pattern=r"^[^\x00]*$", max_length=4000)]
