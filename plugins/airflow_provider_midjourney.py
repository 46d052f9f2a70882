"""Nothing: with ``[core] load_examples``, Airflow imports a module of each provider's name to look for example DAGs.

They are in ``airflow_midjourney/example_dags``, to be copied. Airflow does not load them from there: beside a copy in
the DAGs folder each would be there twice under one id, and some have a schedule.
"""
