"""What the pages say of a batch and of an account, in words.

Called by the pages, their API and templates; reads nothing itself.
"""
