"""Where the simulator was before it went into the wheel: write ``airflow_midjourney.testing.simulator`` instead."""
