"""Images are read from S3 and prepared here: for a slot that is free, and ahead of the slots that are taken.

Senders (``engine/send.py``) and the worker's loop call it; it submits nothing.
"""
