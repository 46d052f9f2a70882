"""One module per page; each has a ``router``.

Included by :mod:`airflow_midjourney.web.app` alone; pages read through queries/ and write through admin/.
"""
