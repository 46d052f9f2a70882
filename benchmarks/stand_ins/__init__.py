"""Servers that answer at once, so that what is measured is what asks them. Each is a process, run by uvicorn."""
