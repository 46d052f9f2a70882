"""Measurements, run by hand; they are no tests."""
