"""Airflow sensors, thin: connections in, the engine called, the result out."""
