"""HTTP as functions from values to values: no sockets, no WSGI, no routes.

A worker thread, the relay and any front to come share what is read and decided here.
"""
