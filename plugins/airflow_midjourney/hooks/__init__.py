"""Airflow hooks, thin: connections in, the engine called, the result out."""
