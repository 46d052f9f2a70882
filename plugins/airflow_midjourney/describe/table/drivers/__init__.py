"""What the drivers of Postgres and SQLite need: how an engine is made, how a transaction begins, what an error means.
Only ``table.database`` and the hook that reads the connection call it.
"""
