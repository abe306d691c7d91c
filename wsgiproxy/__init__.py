"""A reverse proxy that a Python web application carries inside itself."""
