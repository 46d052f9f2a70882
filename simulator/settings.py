"""Give what tests took from here before."""

from airflow_midjourney.testing.simulator.settings import DialectName, SimulatorSettings

__all__ = ["DialectName", "SimulatorSettings"]
