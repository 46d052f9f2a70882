"""What a release adds to tables in use, and how Postgres builds indexes beside the writers.

For ``describe/table/migrations.py`` alone.
"""
