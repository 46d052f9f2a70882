"""Where exports are written to: a folder, or a prefix in S3."""
