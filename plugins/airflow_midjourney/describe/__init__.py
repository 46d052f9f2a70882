"""The engine: plain Python that imports nothing from Airflow."""
