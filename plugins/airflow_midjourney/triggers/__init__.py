"""Airflow triggers, thin: they watch and settle; they never list, read S3 or submit.

Run by the triggerer from their serialized names and arguments, which therefore never change.
"""
