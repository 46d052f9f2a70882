"""What people decide about prompts: the decisions, and the leases by which two reviewers never get the same image.

``admin/review.py``, imports of decisions and the review page call it.
"""
