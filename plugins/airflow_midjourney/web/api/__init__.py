"""What the pages' scripts ask for, as JSON; each module has a ``router``, as the pages have.

Included by :mod:`airflow_midjourney.web.app` alone.
"""
