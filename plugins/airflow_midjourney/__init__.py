"""Describe the images of an S3 prefix with a midjourney-proxy-compatible service, and pay for each one once."""

__version__ = "0.1.0"
