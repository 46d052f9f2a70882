"""From the bytes of an object to a checked picture that may leave the house.

Called by the engine and by the pages' thumbnails; knows neither S3 nor the service nor the table.
"""
