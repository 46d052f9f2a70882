"""Lists of objects as people keep them: lines, tables, S3 Inventory.

Called by the engine when it lists a batch that has a manifest.
"""
