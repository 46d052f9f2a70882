"""The remote API: one client, and all that is particular to one service in a file of its own.

Called by the engine and the hook; knows neither S3 nor the table.
"""
