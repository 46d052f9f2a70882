"""Breaks each write of the engine on purpose, one place at a time, and says which faults no test has noticed."""
