"""Files that :mod:`tools.pyz` puts into the one file."""
