"""Four sentences about a picture, from what its pixels say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.vision import ImageReading

_ARTISTS: Final = (
    "tove jansson",
    "albert marquet",
    "eric ravilious",
    "joan eardley",
    "berthe morisot",
    "félix vallotton",
    "hiroshi yoshida",
    "emily carr",
    "vilhelm hammershøi",
    "gabriele münter",
    "henri rivière (printmaker)",
    "l. s. lowry",
)
_MEDIA: Final = ("gouache", "linocut", "35 mm film", "watercolour", "lithograph", "oil on board", "risograph")
_MOODS: Final = ("calm", "restless", "quiet", "playful", "solemn", "airy", "nostalgic", "tense")
_FINISHES: Final = (
    "fine grain",
    "soft focus",
    "crisp lines",
    "matte tones",
    "layered depth",
    "negative space",
)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words for one picture, out of which every layout makes its sentences."""

    colours: tuple[str, ...]
    light: str
    contrast: str
    warmth: str
    shape: str
    texture: str
    balance: str
    scene: str
    focus: str
    artists: tuple[str, str]
    medium: str
    mood: str
    finish: str

    @property
    def palette(self) -> str:
        """The colours as one phrase."""
        return " and ".join((", ".join(self.colours[:-1]), self.colours[-1])) if self.colours[1:] else self.colours[0]


def word(reading: ImageReading) -> Wording:
    """Choose the words for a picture."""
    seed = reading.fingerprint
    return Wording(
        colours=tuple(colour.name for colour in reading.colours),
        light=_step(
            reading.brightness,
            (0.15, 0.35, 0.6, 0.8),
            ("night-dark", "low-key", "evenly lit", "bright", "high-key"),
        ),
        contrast=_step(reading.contrast, (0.15, 0.35, 0.6), ("flat", "soft", "clear", "stark")),
        warmth=_step(reading.warmth, (-0.15, -0.03, 0.04, 0.18), ("cold", "cool", "neutral", "warm", "glowing")),
        shape=_shape(reading),
        texture=_step(reading.edges, (0.02, 0.12, 0.35), ("smooth", "softly drawn", "detailed", "densely textured")),
        balance=_step(
            reading.symmetry,
            (0.6, 0.85, 0.97),
            ("asymmetrical", "loosely balanced", "balanced", "mirror-like"),
        ),
        scene=_scene(reading),
        focus=reading.focus,
        artists=(_ARTISTS[seed % len(_ARTISTS)], _ARTISTS[(seed // 16 + 5) % len(_ARTISTS)]),
        medium=_MEDIA[seed // 256 % len(_MEDIA)],
        mood=_MOODS[seed // 4096 % len(_MOODS)],
        finish=_FINISHES[seed // 65536 % len(_FINISHES)],
    )


def lists(wording: Wording) -> tuple[str, str, str, str]:
    """Four comma lists with links, as bots of 2023 wrote."""
    w = wording
    first, second = (_link(artist) for artist in w.artists)
    return (
        f"{_article(w.light)} {w.shape} picture, {w.scene}, in the style of {first}, {w.palette}, {w.medium}, {w.mood}",
        f"{w.texture} forms in {w.palette}, detail in {w.focus}, in the style of {second}, "
        f"{w.contrast} contrast, {w.finish}",
        f"{w.balance} composition; {w.warmth} light, {w.colours[0]} tones, in the style of {first}, "
        f"{second}, {w.medium}, {w.scene}",
        f'"{w.mood} {w.colours[-1]}", a study of {w.scene}, {w.light}, {w.texture}, {w.warmth} palette '
        f"(mostly {w.colours[0]}), {w.finish}",
    )


def sentences(wording: Wording) -> tuple[str, str, str, str]:
    """Four descriptions in whole sentences with one link, as bots of 2025 write."""
    w = wording
    return (
        f"{_article(w.light).capitalize()} {w.shape} picture shows {w.scene}. Its colours are {w.palette}, "
        f"the contrast is {w.contrast}, and most of the detail gathers in {w.focus}, "
        f"which gives it {_article(w.mood)} mood.",
        f"In the manner of {_link(w.artists[0])}, {w.texture} shapes in {w.palette} fill "
        f"{_article(w.balance)} composition. The {w.warmth} light falls evenly; the finish has {w.finish}.",
        f"{_article(w.medium).capitalize()} study in {w.colours[0]}: {w.scene}, seen in {w.warmth} light. "
        f"The eye is led to {w.focus}, where the {w.texture} surface stands out "
        f"(the rest stays {w.contrast}).",
        f'The scene could be called "{w.mood} {w.colours[-1]}". It is {w.light} and {w.balance}, with '
        f"{w.palette} side by side, {w.finish}, and {w.scene}.",
    )


def in_chinese(reading: ImageReading) -> tuple[str, str, str, str]:
    """Four short descriptions in Chinese."""
    colours = "、".join(colour.chinese for colour in reading.colours)
    first, last = reading.colours[0].chinese, reading.colours[-1].chinese
    light = "明亮" if reading.brightness > 0.5 else "昏暗"
    tone = "暖色调" if reading.warmth > 0 else "冷色调"
    scene = "上方是开阔的天空" if reading.open_sky else "画面饱满"
    return (
        f"一幅{light}的画面，主色为{colours}，{scene}",
        f"{tone}的构图，以{first}为主，细节丰富",
        f"{colours}交织，光线{light}，{tone}",
        f"以{last}点缀的习作，{scene}，{tone}",
    )


def aspect_ratio(reading: ImageReading) -> str:
    """Like ``58:77``."""
    ratio = Fraction(reading.width, reading.height).limit_denominator(100)
    return f"{max(1, ratio.numerator)}:{ratio.denominator}"


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _link(artist: str) -> str:
    return f"[{artist}](https://goo.gl/search?artist%20{quote(artist, safe='()éøüè')})"


def _step(value: float, borders: tuple[float, ...], words: tuple[str, ...]) -> str:
    return words[sum(value >= border for border in borders)]


def _shape(reading: ImageReading) -> str:
    ratio = reading.width / reading.height
    return _step(ratio, (0.5, 0.95, 1.06, 2.0), ("tall", "upright", "square", "landscape", "panoramic"))


def _scene(reading: ImageReading) -> str:
    ground = reading.colours[0].name
    if reading.open_sky and reading.horizon is not None:
        return f"open sky above a horizon at {round(reading.horizon * 100)} percent of the height"
    if reading.open_sky:
        return f"open sky above {reading.colours[-1].name} shapes"
    if reading.plain_ground and reading.edges > 0.002:
        return f"a single subject on a plain {ground} ground"
    if reading.horizon is not None:
        return f"two bands that meet at {round(reading.horizon * 100)} percent of the height"
    if reading.edges < 0.002:
        return f"an even field of {ground}"
    return f"{ground} surfaces filling the frame"
