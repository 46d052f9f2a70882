"""A stand-in for a midjourney-proxy-compatible describe service: no bill, words from pixels.

Called by the fixtures of ``testing/pytest_plugin.py``, and by its command line, which the demo starts.
"""
