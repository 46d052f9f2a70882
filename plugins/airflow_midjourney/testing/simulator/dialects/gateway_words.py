"""How the doorkeepers of a new-api gateway word their errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class GatewayWords:
    """The words of one generation of gateways.

    :param says: what it says instead of the words of 2025.
    :param names_codes: whether its errors have a ``code``, which may be empty.
    :param bad_request: what stands before the reason why a request cannot be read.
    """

    says: Mapping[str, str] = field(default_factory=dict)
    names_codes: bool = False
    bad_request: str = "Invalid request, "

    def error(self, message: str, code: str, request_id: str) -> dict[str, Any]:
        """The body of an error.

        :param message: in the words of 2025.
        """
        named = {"code": code} if self.names_codes else {}
        said = f"{self.says.get(message, message)} (request id: {request_id})"
        return {"error": {**named, "message": said, "type": "new_api_error"}}


WORDS_OF_2025: Final = GatewayWords()
