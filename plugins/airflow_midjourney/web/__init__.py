"""Pages in Airflow's UI and the receiver of callbacks.

Loaded by Airflow's API server alone, through plugin.py; workers and triggerers import nothing of it.
"""
