"""paste.deploy: the proxy as a filter, and by itself as an application.

.. code-block:: ini

    [filter:proxy]
    use = egg:wsgi-reverse-proxy#proxy
    read_timeout = 30
    /new_req = http://localhost:9999
    /api =
        http://10.0.0.1:8000 http://10.0.0.2:8000
        strip_prefix = false

Keys that begin with ``/`` are routes, every other key is an option for all of them, and
what stands below a route's URL is for that route alone. A ``%`` is written ``%%``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .cli.document import Config, from_strings
from .cli.serve import not_found
from .errors import ConfigurationError
from .middleware import ProxyMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["app_factory", "filter_app_factory"]


def filter_app_factory(
    app: WSGIApplication, global_conf: Mapping[str, str], **settings: str
) -> WSGIApplication:
    """Wrap ``app``; ``global_conf`` is not read, since it is not meant for this filter alone.

    :raises ConfigurationError: for an unknown key or a value that cannot work.
    """
    config = Config.read(from_strings(settings), "paste section of the proxy")
    if not config.routes:
        raise ConfigurationError(
            "the paste section of the proxy has no route; write /new_req = http://localhost:9999"
        )
    return ProxyMiddleware(app, config.routes)


def app_factory(global_conf: Mapping[str, str], **settings: str) -> WSGIApplication:
    """The proxy by itself: what no route takes is not found."""
    return filter_app_factory(not_found, global_conf, **settings)
