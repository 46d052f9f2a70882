"""From the table to a training set: which rows, which prompts, in which files, published whole."""
