"""Moving the tables from an SQLite file to Postgres, once, with every number as it is.

For ``python -m airflow_midjourney.describe.table`` alone.
"""
