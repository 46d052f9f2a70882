"""S3: objects, listings and lists of objects, each checked before it is believed.

Called by the engine, the exports and the pages; knows neither the service nor the table.
"""
