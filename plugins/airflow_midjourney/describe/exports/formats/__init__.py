"""One module per format, ``as_<name>.py`` with a class ``Format``: a new format is a new file here.

Loaded by name by ``exports/format.py`` alone; knows neither the table nor S3.
"""
