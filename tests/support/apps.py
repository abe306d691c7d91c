"""The applications that tests wrap, importable by name for servers in other processes."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["build", "create", "front"]


def front(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The wrapped application: tells which path reached it, reads a body if there is one."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    received = len(environ["wsgi.input"].read(size)) if size else 0
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    body = f"front {environ['REQUEST_METHOD']} {path} {received}".encode("latin-1")
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def build(spec: dict[str, Any]) -> WSGIApplication:
    """The application that a spec stands for.

    ``app``: the wrapped application, or ``module:name`` of it. ``routes``: prefixes with
    a URL, a ``Route`` or a mapping of ``url`` and options. ``defaults``: route defaults.
    ``validate``: put ``wsgiref.validate`` around the middleware and around ``app``.
    """
    from wsgiproxy import ProxyMiddleware

    app = spec.get("app") or front
    app = _load(app) if isinstance(app, str) else app
    if spec.get("validate"):
        app = validator(app)
    routes = {prefix: _route(value) for prefix, value in spec["routes"].items()}
    proxy = ProxyMiddleware(app, routes, **spec.get("defaults", {}))
    return validator(proxy) if spec.get("validate") else proxy


def create() -> WSGIApplication:
    """What gunicorn runs: the application of the environment variable ``TEST_SITE``."""
    spec = json.loads(os.environ["TEST_SITE"])
    if "factory" in spec:
        made: WSGIApplication = _load(spec["factory"])(**spec.get("arguments", {}))
        return made
    return build(spec) if "routes" in spec else _load(spec["app"])


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _route(value: Any) -> Any:
    from wsgiproxy import Route

    if isinstance(value, dict):
        options = dict(value)
        return Route(options.pop("url"), **options)
    return value
