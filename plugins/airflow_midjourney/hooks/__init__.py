"""Airflow hooks, thin: a connection is read and checked, and what the engine needs of it is given.

Called by runtime.py, operators and pages; the only place that reads Airflow's connections.
"""
