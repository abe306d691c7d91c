"""Stands for theming in the one file."""

from __future__ import annotations

from ..errors import ConfigurationError

raise ConfigurationError(
    "theming is not part of the one file, because lxml is compiled for each system; "
    "pip install wsgi-reverse-proxy[theme]"
)
