"""What others are told of the work: metrics, lineage, asset events.

Called by operators, sensors and triggers; decides nothing.
"""
