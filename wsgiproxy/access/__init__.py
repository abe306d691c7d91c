"""Who the user is, who may pass, and whose cookies are whose."""
