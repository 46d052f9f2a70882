"""What the service is asked before anything is paid for again: tasks by id, tasks given up, tasks of renamed accounts.

``settle`` and ``send`` call it; ``reconcile`` beside it decides what becomes of a submission without an answer.
"""
