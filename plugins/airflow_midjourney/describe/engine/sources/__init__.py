"""Lists of images that are no prefix of a bucket: keys that the DAG names, and manifests.

Called by ``listing`` alone, which walks prefixes itself.
"""
