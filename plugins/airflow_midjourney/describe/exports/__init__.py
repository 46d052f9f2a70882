"""From the table to a training set: which rows, which prompts, in which files, published whole.

Called by the export operator and by notebooks; reads the table through queries/ and images through storage/.
"""
