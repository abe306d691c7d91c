"""A reverse proxy that a Python web application carries inside itself.

::

    from wsgiproxy import ProxyMiddleware

    application = ProxyMiddleware(application, {"/new_req": "http://localhost:9999"})
"""

from .errors import ConfigurationError, ExchangeError, ProxyError
from .hostproxy import HostProxy, TransparentProxy
from .middleware import ProxyMiddleware
from .routing.route import Route
from .upstream import Upstream

__all__ = [
    "ConfigurationError",
    "ExchangeError",
    "HostProxy",
    "ProxyError",
    "ProxyMiddleware",
    "Route",
    "TransparentProxy",
    "Upstream",
    "__version__",
]

__version__ = "1.0.0"
