"""Who may see and do what, and how a request is proved to be a person's own.

Called by the pages and the API of web/ alone.
"""
