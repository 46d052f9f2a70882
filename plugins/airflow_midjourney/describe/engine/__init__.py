"""The work on a batch: list, reserve, read, claim, send, settle, until nothing is open.

Called by operators, sensors and triggers; the only room that uses service, storage, imaging and table together.
"""
