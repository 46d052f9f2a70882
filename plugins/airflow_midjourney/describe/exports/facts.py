"""What formats say of an image beside its caption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_midjourney.describe.exports.format import Sample


def facts_of(sample: Sample) -> dict[str, Any]:
    """Give the chosen prompts, and which image in which version they describe."""
    image = sample.image
    return {
        "prompts": list(sample.captions),
        "image_uri": image.image_uri,
        "image_version": image.image_version,
        "content_sha256": image.content_sha256,
        "width": image.width,
        "height": image.height,
        "aspect_ratio": image.aspect_ratio,
        "bot_type": image.bot_type,
    }
