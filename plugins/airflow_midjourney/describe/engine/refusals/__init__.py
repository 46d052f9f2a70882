"""Access denied, by S3 or by the service: the verdict on one image, until ten in a row are the run's.

``submit``, ``send`` and ``listing`` call it.
"""
