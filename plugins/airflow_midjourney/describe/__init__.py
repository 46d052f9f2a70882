"""The engine: plain Python that imports nothing from Airflow, in nine rooms on five floors.

Called by operators, sensors, triggers, hooks, web/ and notebooks; each room says who may call it.
"""
