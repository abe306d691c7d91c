"""A Django site with users, sessions, the admin, and services behind it."""
