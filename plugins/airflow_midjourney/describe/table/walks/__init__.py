"""The order in which many rows are walked page by page.

For exports and notebooks, purge and reparse.
"""
