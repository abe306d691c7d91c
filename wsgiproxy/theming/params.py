"""The XSLT parameters of one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from diazo.utils import quote_param
from lxml import etree

from .settings import DOCUMENT_PARAMS, ThemeOptions

__all__ = ["describe", "own_values", "vary_by", "xslt_params"]

_PATH_SAFE = "/~!$&'()*+,;=:@"


def describe(environ: Mapping[str, Any], options: ThemeOptions) -> dict[str, Any]:
    """The environ keys for diazo's rules: path, query, host, scheme.

    :param environ: the request.
    :param options: of the middleware.
    """
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return {
        "diazo.rules": options.rules,
        "diazo.absolute_prefix": options.prefix,
        "diazo.path": quote(path.encode("latin-1", "replace"), safe=_PATH_SAFE),
        "diazo.query_string": environ.get("QUERY_STRING", ""),
        "diazo.host": host,
        "diazo.scheme": environ["wsgi.url_scheme"],
    }


def own_values(environ: Mapping[str, Any], options: ThemeOptions) -> str:
    """The values of a request that a themed page depends on beyond its URL.

    :param environ: the request.
    :param options: ``environ_param_map`` names them.
    :returns: text that is equal for equal values.
    """
    return repr([environ.get(key) for key, _ in options.environ_param_map])


def vary_by(options: ThemeOptions) -> list[str]:
    """The names of the request headers that parameters are taken from, for ``Vary``.

    :param options: ``environ_param_map`` names them.
    """
    keys = [key for key, _ in options.environ_param_map if key.startswith("HTTP_")]
    return [key[5:].replace("_", "-").title() for key in keys if key != "HTTP_HOST"]


def xslt_params(environ: Mapping[str, Any], options: ThemeOptions) -> dict[str, Any]:
    """The parameters of one transformation, quoted for XSLT.

    :param environ: the request.
    :param options: ``environ_param_map``, ``params`` and ``unquoted_params``.
    """
    found: dict[str, Any] = {}
    for key, name in (*DOCUMENT_PARAMS.items(), *options.environ_param_map):
        if key in environ:
            found[name] = environ[key]
    found.update(options.params)
    raw = options.unquoted_params
    return {k: str(v) if k in raw else _quoted(v) for k, v in found.items()}


def _quoted(value: Any) -> Any:
    """A parameter as XSLT takes it; what XML cannot hold is left out of texts."""
    if value is None or isinstance(value, bool):
        return quote_param(value)
    if isinstance(value, (int, float)):
        return repr(value)
    return etree.XSLT.strparam("".join(filter(_is_xml, str(value))))


def _is_xml(character: str) -> bool:
    """XML 1.0 section 2.2, Char."""
    return (
        character in "\t\n\r"
        or " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )
