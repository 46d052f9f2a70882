"""Put a dozen images into a bucket, for the profile ``demo``: ``python sample_images.py BUCKET PREFIX``."""

# ruff: noqa: T201 - what it prints is for the person who runs it

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

_COLOURS: Final = ("crimson", "orange", "gold", "seagreen", "steelblue", "rebeccapurple")
_SHAPES: Final = ("ellipse", "rectangle")
_SIDE: Final = 640


def sample_images() -> Iterator[tuple[str, bytes]]:
    """Make the images one by one, by name; the same bytes each time."""
    for shape in _SHAPES:
        for number, colour in enumerate(_COLOURS):
            image = Image.new("RGB", (_SIDE, _SIDE), "white" if shape == "ellipse" else "black")
            inset = 60 + 30 * number
            getattr(ImageDraw.Draw(image), shape)((inset, 80, _SIDE - inset, _SIDE - 80), fill=colour)
            body = io.BytesIO()
            image.save(body, "PNG")
            yield f"{colour}-{shape}.png", body.getvalue()


def put(client: S3Client, bucket: str, prefix: str) -> int:
    """Write them; what is there already stays as it is.

    :return: how many there are.
    """
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    there = {found["Key"] for found in listed}
    images = {prefix + name: body for name, body in sample_images()}
    for key in images.keys() - there:
        client.put_object(Bucket=bucket, Key=key, Body=images[key], ContentType="image/png")
    return len(images)


def main() -> None:
    """Use the connection ``aws_default``."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    bucket, prefix = sys.argv[1:]
    number = put(S3Hook("aws_default").get_conn(), bucket, prefix)
    print(f"{number} images are in s3://{bucket}/{prefix}")


if __name__ == "__main__":
    main()
