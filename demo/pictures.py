"""Where the pictures of a demo are in S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Names the variable with the login that readers of a user's folder bear, so that no other user reads it.
LOGIN_VARIABLE: Final = "FOLDER_STORE_LOGIN"


@dataclass(frozen=True, slots=True)
class Pictures:
    """All keys below one prefix."""

    bucket: str
    prefix: str

    def name(self, key: str) -> str:
        """Give a key as a person knows it: without the prefix."""
        return key.removeprefix(self.prefix)
