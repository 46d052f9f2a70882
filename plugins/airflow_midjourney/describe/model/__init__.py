"""The words that all rooms share: what an image, a batch and an account are, and what can become of them.

Imported by every room; imports none.
"""
