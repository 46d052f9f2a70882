"""What a person's order writes and names: pauses of accounts, and the rows as the person saw them (compare-and-set).

``admin``, the pages and listings that describe again call it.
"""
