"""The metadata table and the seven tables beside it: the truth about every image, and the queue.

Written by the engine and by admin/, read by queries/, too; a module for each fact that is written. See ``schema/``.
"""
