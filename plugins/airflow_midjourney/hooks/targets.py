"""Where an export is written to: a folder, or S3 through an AWS connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from airflow_midjourney.describe.exports.targets.target import Target

_S3 = "s3://"


def open_target(target: str, aws_conn_id: str) -> Target:
    """Open a target.

    :param target: ``s3://bucket/prefix``, or the absolute path of a folder.
    :param aws_conn_id: for S3; empty for what boto3 finds by itself.
    :raises SettingsError: if it is neither, or there is no such connection.
    """
    if target.startswith(_S3):
        from airflow_midjourney.describe.exports.targets.bucket import BucketTarget
        from airflow_midjourney.hooks.images import connection_name, open_s3

        bucket, _, prefix = target.removeprefix(_S3).partition("/")
        return BucketTarget(open_s3(aws_conn_id), name=connection_name(aws_conn_id), bucket=bucket, prefix=prefix)
    if "://" in target:
        raise SettingsError(f"target={target!r} must be s3://bucket/prefix, or the absolute path of a folder.")
    from airflow_midjourney.describe.exports.targets.folder import FolderTarget

    return FolderTarget(target)
