"""One request from top to bottom: prepare, send, read the head, adapt it, pass the body on."""
