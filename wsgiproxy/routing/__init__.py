"""Which route a request belongs to: prefixes, hosts and the settings of a route."""
