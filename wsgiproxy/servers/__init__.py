"""The WSGI server in front: its connection, its threads, its client. One file for each server."""
