"""docker-compose.yml without Docker: read as Compose reads it, and its services run as processes of this machine."""
