"""One module per page; each has a ``router``, which :mod:`airflow_midjourney.web.app` includes."""
