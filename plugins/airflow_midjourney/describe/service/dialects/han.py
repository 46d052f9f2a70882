"""Traditional characters written as simplified ones, so that a phrase is listed once for all who write Chinese."""

from __future__ import annotations

from typing import Final

#: Those of sentences about money, queues, accounts, images and errors.
_TRADITIONAL: Final = (
    "額餘違規審過統傳載敗時帳帐號戶請試後務錯誤網絡隊滿點數積無圖內並發異盡預費權訪問黃開關連線處壞詞觸應購買維護夠"
)
_SIMPLIFIED: Final = (
    "额余违规审过统传载败时账账号户请试后务错误网络队满点数积无图内并发异尽预费权访问黄开关连线处坏词触应购买维护够"
)

_TABLE: Final = str.maketrans(_TRADITIONAL, _SIMPLIFIED)


def simplified(text: str) -> str:
    """Give a text of the same length without the traditional forms of characters that services use."""
    return text.translate(_TABLE)
