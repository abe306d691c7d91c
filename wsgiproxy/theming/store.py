"""The theme in use: compiled at start, and again when its files change."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .compile import Compiled, app_reader, compile_all
from .source_reader import SourceReader, stamp

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .settings import ThemeOptions

__all__ = ["ThemeStore"]

log = logging.getLogger("wsgiproxy.theming")

_INTERVAL = 1.0


class ThemeStore:
    """Holds the compiled theme; any number of threads may call its methods.

    :param app: the wrapped application.
    :param options: of the middleware.
    :raises ConfigurationError: at once, if rules or theme cannot be compiled; with
        ``read_app`` they are compiled at the first request, when there is an
        application to ask.
    """

    def __init__(self, app: WSGIApplication, options: ThemeOptions) -> None:
        self.error: str | None = None
        self._app = app
        self._options = options
        self._lock = threading.Lock()
        self._texts: OrderedDict[str, Compiled] = OrderedDict()
        self._seen: dict[str, tuple[int, int, int] | None] = {}
        self._checked = time.monotonic()
        self._compiled: Compiled | None = None
        self._is_callable = callable(options.theme)
        if options.read_app:
            self._checked -= _INTERVAL
        else:
            self._compiled = self._compile(None if self._is_callable else options.theme)

    @property
    def is_callable(self) -> bool:
        """Whether the theme is made for each request."""
        return self._is_callable

    def current(self) -> Compiled | None:
        """The theme to use; ``None`` only before the first that compiles (``read_app``).

        With a callable theme: the rules alone, which tell what pages depend on.
        """
        self._refresh()
        return self._compiled

    def of_text(self, text: str) -> Compiled:
        """The rules compiled with the text of a theme callable.

        :param text: the theme's markup.
        :raises ConfigurationError: if they cannot be compiled together.
        """
        with self._lock:
            found = self._texts.get(text)
            if found is not None:
                self._texts.move_to_end(text)
                return found
        found = self._compile(text if text.lstrip().startswith("<") else f"<html>{text}")
        with self._lock:
            self._texts[text] = found
            while len(self._texts) > max(1, self._options.theme_cache):
                self._texts.popitem(last=False)
        return found

    def _refresh(self) -> None:
        """Compile again what has changed; one thread does, the others keep the old one."""
        if not self._is_due() or not self._lock.acquire(blocking=self._compiled is None):
            return
        try:
            if self._is_due():
                self._checked = time.monotonic()
                if self._compiled is None or self._has_changed():
                    self._replace()
        finally:
            self._lock.release()

    def _is_due(self) -> bool:
        options = self._options
        if self._compiled is not None and not (options.reload or options.debug):
            return False
        return options.debug or time.monotonic() - self._checked >= _INTERVAL

    def _has_changed(self) -> bool:
        if self._options.debug and self._options.read_app:
            return True
        return any(stamp(path) != known for path, known in self._seen.items())

    def _replace(self) -> None:
        try:
            self._compiled = self._compile(None if self._is_callable else self._options.theme)
        except ConfigurationError as error:
            self.error = str(error)
            log.error("the theme cannot be compiled, the one before stays: %s", error)
        except Exception as error:  # the application's own, with read_app
            self.error = str(error)
            log.exception("the theme cannot be compiled, the one before stays")
        else:
            self.error = None
            self._texts.clear()
            log.info("the theme was compiled again")

    def _compile(self, theme: Any) -> Compiled:
        ask = app_reader(self._app, self._options)
        reader = SourceReader(self._options.read_network, self._options.max_size, ask)
        try:
            return compile_all(self._options, self._app, theme, reader)
        finally:
            self._seen = self._seen | reader.seen
