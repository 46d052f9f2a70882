"""Where exports are written to: a folder, or a prefix in S3.

Made by ``hooks/targets.py`` and used by ``exports/publication.py``; knows no format.
"""
