"""Give what tests took from here before."""

from airflow_midjourney.testing.simulator.serving import AnnouncingServer, RunningSimulator, running_simulator, serve

__all__ = ["AnnouncingServer", "RunningSimulator", "running_simulator", "serve"]
