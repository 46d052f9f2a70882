"""What users test their own DAGs with: a simulator of the service, an S3 server, and fixtures for pytest.

Called by tests, the demo and benchmarks alone; nothing else of the product imports it. Needs the extra ``testing``.
"""
