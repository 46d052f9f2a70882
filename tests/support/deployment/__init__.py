"""A whole deployment on one machine, as real processes on free ports: see :mod:`tests.support.deployment.deployment`.

Postgres, the simulator, an S3 server, Airflow's api-server, scheduler, dag-processor and triggerer, and for Celery a
Redis and two workers. A keeper, a process of its own, starts all of them and ends them when its caller has gone, for
whatever reason.
"""
