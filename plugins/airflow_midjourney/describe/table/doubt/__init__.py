"""Submissions whose answer is missing, lost or late: what became of them is found out here, and written once.

The engine and ``admin`` call it, and claims ask it before bytes are paid for again.
"""
