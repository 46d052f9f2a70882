"""What the service answered, written to the table: to POSTs, and of tasks in time and late.

For sending and settling, which ask; each function here is one transaction of theirs.
"""
