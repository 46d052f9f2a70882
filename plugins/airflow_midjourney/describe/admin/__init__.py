"""What a person orders: to resolve, describe again, erase or reparse.

Called by operators and pages, never by the engine.
"""
