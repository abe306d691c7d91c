"""One exchange with a service that believes it lives at ``/``: request, headers, body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

from ..errors import ExchangeError
from ..protocol.fields import HeaderList
from .body import EditedBody, edit_whole
from .codings import effective_coding, narrowed
from .css import CssEditor
from .dav import DavEditor, adapt_dav_request
from .fetch_metadata import destination, is_navigation, is_piece
from .first_bytes import (
    BodyEditor,
    Chooser,
    Untouched,
    always,
    if_html,
    unless_json,
    unless_json_for_scripts,
)
from .html import HtmlEditor
from .json_urls import LINKS, MANIFEST, JsonEditor
from .kinds import kind_of
from .page_urls import PageUrls
from .policy import Policies
from .runtime import NAME, Runtime
from .validators import unmixed, was_mixed, with_marks

__all__ = ["Rebasing"]

# What a browser asks for that is never edited: no need to narrow what codings it may have.
_NEVER = frozenset(("image", "audio", "video", "track", "font", "script"))
_PAGES = frozenset(("html", "xhtml", "unknown"))
# Headers that are one URL each; those of htmx and its like are read by scripts.
_URL_HEADERS = frozenset(
    (
        "sourcemap",
        "x-sourcemap",
        "service-worker-allowed",
        "hx-redirect",
        "hx-push-url",
        "hx-replace-url",
        "turbo-location",
        "x-inertia-location",
        "x-pjax-url",
        "x-up-location",
    )
)
# Headers that hold URLs in quotes.
_QUOTED = frozenset(("reporting-endpoints", "speculation-rules"))
_QUOTED_URL = re.compile(r'"([^"\\]*)"')
# A hash in a ``Link`` of what is edited would be wrong.
_INTEGRITY = re.compile(r"\s*;\s*integrity\s*=\s*(?:\"[^\"]*\"|[^;,\s]*)", re.IGNORECASE)
_STYLES = re.compile(r";\s*(?:as\s*=\s*\"?style|rel\s*=\s*\"?[^\";,]*stylesheet)", re.IGNORECASE)
_LINKS = re.compile(r"<[^>]*>[^<]*")


class _Tools(NamedTuple):
    urls: PageUrls
    runtime: Runtime
    mark: str  #: for validators: by which settings bodies are edited


@lru_cache(128)
def _tools(prefix: str, hosts: frozenset[str], base: str, front: str, tls: bool) -> _Tools:
    urls = PageUrls(prefix, hosts, base=base, front=front, tls=tls)
    runtime = Runtime(urls)
    facts = runtime.code + urls.front + bytes([tls])
    return _Tools(urls, runtime, hashlib.sha256(facts).hexdigest()[:8])


class Rebasing:
    """What one request to a rebased route needs, from its first header to its last byte.

    :param environ: of the client's request.
    :param prefix: the public path of the upstream's root without a last slash, encoded.
    :param hosts: ``host[:port]`` names by which the upstream means itself.
    :param base: the upstream's own base path.
    :param front: ``host[:port]`` of our site as the client wrote it.
    :param tls: whether the client speaks TLS to it.
    """

    def __init__(
        self,
        environ: Mapping[str, Any],
        prefix: str,
        hosts: Iterable[str],
        base: str = "",
        front: str = "",
        tls: bool = False,
    ) -> None:
        self._environ = environ
        self._destination = destination(environ)
        self._tools = _tools(prefix, frozenset(hosts), base, front, tls)

    def own_answer(self, path: str) -> tuple[HeaderList, bytes] | None:
        """Headers and body of our script, if this path behind the prefix is its."""
        if not path.startswith(NAME):
            return None
        headers, body = self._tools.runtime.response(self._environ.get("HTTP_ACCEPT_ENCODING", ""))
        return headers, b"" if self._environ["REQUEST_METHOD"] == "HEAD" else body

    def adapt_request(self, environ: MutableMapping[str, Any]) -> None:
        """Change the outgoing request: codings we can undo, validators as the upstream's."""
        accept = environ.get("HTTP_ACCEPT_ENCODING")
        if accept and self._destination not in _NEVER:
            environ["HTTP_ACCEPT_ENCODING"] = narrowed(accept)
        mark = self._tools.mark
        for key in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
            if "~" in environ.get(key, ""):
                environ[key] = unmixed(environ[key], mark)
                if not environ[key]:
                    del environ[key]
        if "~" in environ.get("HTTP_IF_RANGE", "") and "HTTP_RANGE" in environ:
            del environ["HTTP_RANGE"], environ["HTTP_IF_RANGE"]  # of a text that we have changed
        adapt_dav_request(environ, self._tools.urls.reversed())

    def adapt_response(
        self,
        method: str,
        status: int,
        headers: HeaderList,
        body: Iterable[bytes],
        on_failure: Callable[[ExchangeError], object] = lambda error: None,
    ) -> tuple[HeaderList, Iterable[bytes]]:
        """The response with its links mapped; a body that holds none is the same object.

        :param on_failure: called with an error in the body before it is raised.
        """
        fields = {name.lower(): value for name, value in headers}
        kind, mark = kind_of(method, status, fields, self._destination), self._tools.mark
        condition = self._environ.get("HTTP_IF_NONE_MATCH", "")
        is_unchanged = status == 304 and was_mixed(condition, mark)
        policies = self._policies(headers, kind in _PAGES or is_unchanged)
        headers = policies.edited(self._mapped(headers))
        if is_unchanged:
            return with_marks(headers, mark, is_edited=False), body
        if kind is None:
            return headers, body
        headers = with_marks(headers, mark, varies=self._varies(kind, fields))
        if method == "HEAD":
            return headers, body
        coding = effective_coding(fields.get("content-encoding", "")) or "identity"
        editor = self._editor(kind, policies)
        if isinstance(body, list):  # all of it is here, so its length can be told
            whole = edit_whole(body, editor, coding)
            return [*headers, ("Content-Length", str(len(whole)))], [whole]
        return headers, EditedBody(body, editor, coding, on_failure)

    def _policies(self, headers: HeaderList, is_page: bool) -> Policies:
        """The policies of a response; those of a page are opened for our script."""
        gets_script = is_page and not is_piece(self._environ)
        return Policies(self._tools.urls, self._tools.runtime if gets_script else None, headers)

    def _varies(self, kind: str, fields: Mapping[str, str]) -> str:
        """The request header that decided about the body.

        ``Accept`` is not named: the Cache API would not find a page by what a service worker
        has stored, whose requests say another one (Service Workers, 6.1).
        """
        is_told = kind in _PAGES or kind == "worker"
        is_json = kind == "manifest" and "manifest" not in fields.get("content-type", "")
        return "Sec-Fetch-Dest" if is_told or is_json else ""

    def _mapped(self, headers: HeaderList) -> HeaderList:
        urls = self._tools.urls
        mapped = []
        for name, value in headers:
            lowered = name.lower()
            if lowered in _URL_HEADERS:
                value = urls.map_text(value)
            elif lowered in _QUOTED:
                value = _QUOTED_URL.sub(lambda m: f'"{urls.map_text(m[1])}"', value)
            elif lowered == "link" and "integrity" in value.lower():
                value = _LINKS.sub(_without_integrity, value)
            mapped.append((name, value))
        return mapped

    def _editor(self, kind: str, policies: Policies) -> BodyEditor:
        urls = self._tools.urls
        if kind == "worker":
            return Untouched(self._tools.runtime.code.replace(b"\n", b" "))
        if kind in _PAGES:
            return self._page_editor(kind, policies)
        makers: dict[str, Callable[[], BodyEditor]] = {
            "css": partial(CssEditor, urls),
            "svg": partial(HtmlEditor, urls, is_xml=True),
            "dav": partial(DavEditor, urls),
            "manifest": partial(JsonEditor, urls, MANIFEST),
            "json": partial(JsonEditor, urls, LINKS),
        }
        return Chooser(makers[kind], always)

    def _page_editor(self, kind: str, policies: Policies) -> BodyEditor:
        """A page that a script asked for gets our script if it is a whole one.

        A service worker keeps such pages and shows them later on.
        """
        is_page = is_navigation(self._environ)
        script, modules = policies.tags() or (b"", b"")
        make = partial(
            HtmlEditor,
            self._tools.urls,
            script,
            modules,
            is_xml=kind == "xhtml",
            policies=policies,
            is_piece=not is_page,
        )
        if kind == "unknown":
            return Chooser(make, if_html)
        if kind == "xhtml":
            return Chooser(make, always)
        return Chooser(make, unless_json if is_page else unless_json_for_scripts)


def _without_integrity(link: re.Match[str]) -> str:
    """A link of a ``Link`` header; of a style sheet, without its hash."""
    return _INTEGRITY.sub("", link[0]) if _STYLES.search(link[0]) else link[0]
