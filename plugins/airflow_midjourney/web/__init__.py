"""Pages in Airflow's API server. Nothing else loads them."""
