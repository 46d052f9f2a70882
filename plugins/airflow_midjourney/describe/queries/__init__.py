"""What pages, exports and notebooks read from the table; nothing here writes.

Called by web/, the exports and read_prompts.
"""
