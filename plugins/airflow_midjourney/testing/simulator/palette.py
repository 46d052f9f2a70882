"""Names of colours, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import ImageColor


@dataclass(frozen=True, slots=True)
class NamedColour:
    """A colour that has a name.

    :param css: its name in CSS, which says where exactly it is.
    """

    css: str
    name: str
    chinese: str


#: Named colours of CSS that people would say of a picture.
PALETTE: Final = (
    NamedColour("black", "black", "黑色"),
    NamedColour("darkslategray", "slate", "石板色"),
    NamedColour("dimgray", "dim gray", "暗灰"),
    NamedColour("gray", "gray", "灰色"),
    NamedColour("darkgray", "mid gray", "中灰"),
    NamedColour("silver", "silver", "银色"),
    NamedColour("gainsboro", "pale gray", "浅灰"),
    NamedColour("white", "white", "白色"),
    NamedColour("snow", "snow white", "雪白"),
    NamedColour("ivory", "ivory", "象牙白"),
    NamedColour("linen", "linen", "亚麻色"),
    NamedColour("beige", "beige", "米色"),
    NamedColour("wheat", "wheat", "小麦色"),
    NamedColour("tan", "tan", "棕褐"),
    NamedColour("burlywood", "pale wood", "原木色"),
    NamedColour("sandybrown", "sandy brown", "沙棕"),
    NamedColour("peru", "ochre", "赭石"),
    NamedColour("chocolate", "chocolate", "巧克力色"),
    NamedColour("saddlebrown", "saddle brown", "马鞍棕"),
    NamedColour("sienna", "sienna", "赭色"),
    NamedColour("rosybrown", "dusty rose", "灰玫瑰"),
    NamedColour("maroon", "maroon", "栗色"),
    NamedColour("brown", "russet", "赤褐"),
    NamedColour("firebrick", "brick red", "砖红"),
    NamedColour("red", "red", "红色"),
    NamedColour("tomato", "tomato red", "番茄红"),
    NamedColour("coral", "coral", "珊瑚色"),
    NamedColour("salmon", "salmon", "鲑鱼色"),
    NamedColour("darkorange", "orange", "橙色"),
    NamedColour("goldenrod", "amber", "琥珀色"),
    NamedColour("gold", "gold", "金色"),
    NamedColour("khaki", "khaki", "卡其"),
    NamedColour("darkkhaki", "dry grass", "枯草色"),
    NamedColour("yellow", "yellow", "黄色"),
    NamedColour("olive", "olive", "橄榄色"),
    NamedColour("olivedrab", "moss green", "苔绿"),
    NamedColour("darkolivegreen", "dark olive green", "深橄榄绿"),
    NamedColour("yellowgreen", "yellow green", "黄绿"),
    NamedColour("limegreen", "lime green", "酸橙绿"),
    NamedColour("forestgreen", "forest green", "森林绿"),
    NamedColour("darkgreen", "deep green", "深绿"),
    NamedColour("seagreen", "sea green", "海绿"),
    NamedColour("darkseagreen", "sage", "鼠尾草绿"),
    NamedColour("mediumaquamarine", "aquamarine", "碧绿"),
    NamedColour("teal", "teal", "水鸭色"),
    NamedColour("turquoise", "turquoise", "绿松石"),
    NamedColour("lightcyan", "pale cyan", "淡青"),
    NamedColour("cadetblue", "cadet blue", "军校蓝"),
    NamedColour("lightblue", "light blue", "浅蓝"),
    NamedColour("skyblue", "sky blue", "天蓝"),
    NamedColour("steelblue", "steel blue", "钢蓝"),
    NamedColour("dodgerblue", "azure", "蔚蓝"),
    NamedColour("royalblue", "royal blue", "宝蓝"),
    NamedColour("blue", "pure blue", "蓝色"),
    NamedColour("navy", "navy", "海军蓝"),
    NamedColour("midnightblue", "midnight blue", "午夜蓝"),
    NamedColour("slategray", "blue gray", "蓝灰"),
    NamedColour("lavender", "lavender", "薰衣草色"),
    NamedColour("mediumpurple", "lilac", "丁香紫"),
    NamedColour("indigo", "indigo", "靛蓝"),
    NamedColour("purple", "purple", "紫色"),
    NamedColour("plum", "plum", "梅色"),
    NamedColour("magenta", "magenta", "品红"),
    NamedColour("palevioletred", "mauve", "木槿紫"),
    NamedColour("hotpink", "pink", "粉红"),
    NamedColour("mistyrose", "blush", "腮红色"),
)

_POSITIONS: Final = np.array([ImageColor.getrgb(colour.css)[:3] for colour in PALETTE], dtype=np.float64)


def nearest(red: float, green: float, blue: float) -> NamedColour:
    """The named colour that looks closest ("redmean" distance).

    :param red: 0 to 255, like the others.
    """
    mean = (_POSITIONS[:, 0] + red) / 2
    by_red, by_green, by_blue = (_POSITIONS - np.array([red, green, blue])).T ** 2
    distance = (2 + mean / 256) * by_red + 4 * by_green + (2 + (255 - mean) / 256) * by_blue
    return PALETTE[int(distance.argmin())]
