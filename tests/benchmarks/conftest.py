"""Airflow for the tests of this folder; nothing may import it before its folder is chosen."""

from __future__ import annotations

from tests.support.airflow_home import use_temporary_airflow

use_temporary_airflow()
