"""``make docs``: what the site needs beside MkDocs: files of the repository as pages, and a check of the result."""
