"""Airflow operators, thin: connections in, the engine called, the result out."""
