"""One table of options for the constructor, the TOML file, paste.deploy and the command line."""
