"""The theme's options: one table for constructor, TOML, paste.deploy and command line."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import ConfigurationError
from ..settings.kinds import BOOLEAN, COUNT, NAMES, SIZE, TEXT, choice, import_object
from ..settings.options import Kind, Options, option

__all__ = ["DOCUMENT_PARAMS", "PAIRS", "SOURCE", "ThemeOptions"]

#: What diazo always tells a stylesheet about the request: environ key -> parameter.
DOCUMENT_PARAMS = {
    "diazo.path": "path",
    "diazo.query_string": "query_string",
    "diazo.host": "host",
    "diazo.scheme": "scheme",
}

_EXTENSIONS = NAMES.read(
    "7z avi avif bmp bz2 css csv deb dmg doc docx eot exe flac gif gz hqx ico iso jar jpeg"
    " jpg js json m4a map mjs mov mp3 mp4 mpeg mpg odt ogg otf pdf png ppt pptx ps rar rpm"
    " rtf svg swf tar tga tgz tif tiff ttf txt wasm wav webm webp whl wmv woff woff2 xls"
    " xlsx xz zip zst"
)
_IMPORT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _source(value: Any) -> str | Callable[..., str] | None:
    """A path, ``python://package/file``, ``file://``, a URL, markup, or a callable."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # Any narrowed by callable() only
    text = os.fspath(value)
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is no path; write it as text")
    if _IMPORT.fullmatch(text):
        return import_object(text, callable, "callable")  # type: ignore[no-any-return]  # imported
    return text if text.strip() else None


def _pairs(value: Any) -> tuple[tuple[str, Any], ...]:
    """Names and values: a mapping, pairs, or lines of ``name = value``."""
    if value is None:
        return ()
    if isinstance(value, str):
        lines = [line.strip() for line in re.split(r"[\n,]", value) if line.strip()]
        if not all("=" in line for line in lines):
            raise ValueError(f"{value!r} has an entry without '='; write name = value")
        value = [line.split("=", 1) for line in lines]
        return tuple((name.strip(), content.strip()) for name, content in value)
    if not isinstance(value, (Mapping, Iterable)):
        raise ValueError(f"{value!r} holds no names and values; write a table")
    return tuple((str(k), v) for k, v in (value.items() if isinstance(value, Mapping) else value))


SOURCE = Kind("path, URL, markup or module:name", _source)
PAIRS = Kind("names and values", _pairs)
_INCLUDE_MODE = choice("document", "ssi", "ssiwait", "esi")


class ThemeOptions(Options):
    """What :class:`~wsgiproxy.theming.ThemeMiddleware` takes besides the application.

    Names that ``diazo.wsgi.DiazoMiddleware`` has mean here what they mean there.
    """

    rules: str | None = option(None, SOURCE, "the rules; nothing is themed without")
    theme: Any = option(None, SOURCE, "the theme, or a callable theme(request) -> str")
    prefix: str | None = option(None, TEXT, "put before relative URLs of the theme")
    includemode: str = option("document", _INCLUDE_MODE, "how href= rules fetch their page")
    read_network: bool = option(False, BOOLEAN, "theme and includes may come from http:// URLs")
    read_file: bool = option(True, BOOLEAN, "includes may be file:// or python:// beside the rules")
    read_app: bool = option(False, BOOLEAN, "rules and theme may come from the application")
    environ_param_map: tuple[tuple[str, str], ...] = option(
        (), PAIRS, "environ keys and the XSLT parameters they become"
    )
    params: tuple[tuple[str, Any], ...] = option((), PAIRS, "XSLT parameters with fixed values")
    unquoted_params: tuple[str, ...] = option(
        (), NAMES, "parameters passed on as XPath; never name one that a client can set"
    )
    html5: bool = option(True, BOOLEAN, "write HTML5; false writes what the rules' xsl:output says")
    doctype: str | None = option(None, TEXT, "the doctype, in place of <!DOCTYPE html>")
    content_type: str | None = option(None, TEXT, "Content-Type of themed pages: text/html")
    charset: str = option("UTF-8", TEXT, "the character encoding of themed pages")
    filter_xpath: bool = option(False, BOOLEAN, "serve a part of the page for ?;filter_xpath=")
    ignored_extensions: tuple[str, ...] = option(
        _EXTENSIONS, NAMES, "paths that end so are never touched"
    )
    theme_errors: bool = option(True, BOOLEAN, "theme pages with a status of 400 and above")
    theme_401: bool = option(False, BOOLEAN, "theme pages with status 401")
    theme_fragments: bool = option(
        False, BOOLEAN, "theme what scripts fetch too (Sec-Fetch-Dest, HX-Request)"
    )
    client_off: bool = option(False, BOOLEAN, "a client's X-Diazo-Off counts")
    max_size: int = option(4 << 20, SIZE, "pages over so many bytes pass unthemed")
    max_ratio: int = option(200, COUNT, "compressed pages that grow by more pass unthemed")
    theme_cache: int = option(64, COUNT, "how many texts of a theme callable stay compiled")
    reload: bool = option(True, BOOLEAN, "look once a second whether rules or theme changed")
    remove_conditional_headers: bool = option(
        False, BOOLEAN, "no ETag, no Last-Modified, no 304 for themed pages"
    )
    update_content_length: bool = option(
        True, BOOLEAN, "for diazo's configurations only: the length is always sent"
    )
    debug: bool = option(False, BOOLEAN, "look for changes at each request, show errors in pages")

    def check(self) -> None:
        """Read no limit as a very high one, and refuse what cannot work."""
        for name in ("max_size", "max_ratio", "theme_cache"):
            if getattr(self, name) is None:
                self.__dict__[name] = sys.maxsize
        bare = tuple(item.lstrip(".").lower() for item in self.ignored_extensions)
        self.__dict__["ignored_extensions"] = bare
        if callable(self.rules):
            raise ConfigurationError("option rules: rules cannot be called; name their file")
        try:
            codecs.lookup(self.charset)
        except (LookupError, TypeError):
            raise ConfigurationError(
                f"option charset: {self.charset!r} is unknown; write UTF-8"
            ) from None
