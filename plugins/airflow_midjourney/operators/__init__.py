"""Airflow operators, thin: arguments and connections in, the engine called, the result out.

Imported by users' DAGs: nothing heavy is loaded before a task runs.
"""
