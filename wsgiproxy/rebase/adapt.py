"""One exchange with a service that believes it lives at ``/``: request, headers, body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from ..errors import ExchangeError
from ..protocol.fields import HeaderList
from .codings import Decoder, Encoder, known_codings, narrowed, normal
from .css import CssEditor
from .html import HtmlEditor
from .manifest import ManifestEditor
from .page_urls import PageUrls
from .policy import Tags, edit_policies, tags_for
from .runtime import NAME, Runtime
from .validators import mixed, unmixed, was_mixed

__all__ = ["Rebasing"]

_DOCUMENTS = frozenset(("document", "iframe", "frame", "embed", "object", "fencedframe"))
# By these, libraries tell that a script asks for a piece of a page.
_PIECE_KEYS = ("HTTP_X_REQUESTED_WITH", "HTTP_HX_REQUEST", "HTTP_TURBO_FRAME", "HTTP_X_PJAX")
_WORKERS = frozenset(("worker", "sharedworker", "serviceworker"))
# What a browser asks for that is never edited: no need to narrow what codings it may have.
_NEVER = frozenset(("image", "audio", "video", "track", "font", "script"))
_KINDS = {
    "text/html": "html",
    "application/xhtml+xml": "xhtml",
    "image/svg+xml": "svg",
    "text/css": "css",
    "application/manifest+json": "manifest",
}
_SCRIPTS = re.compile(r"(?:text|application)/(?:x-)?(?:java|ecma)script")
# Charsets in which the bytes of ASCII may mean something else.
_STRANGE = re.compile(r"charset\s*=\s*[\"']?(?:utf-?(?:16|32|7)|ucs|iso-?2022|hz|iso-10646)", re.I)
_UTF16_MARKS = (b"\xfe\xff", b"\xff\xfe")
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
#: What describes the bytes as they came, or promises parts of them.
_OUTDATED = frozenset(
    ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]
)


class Editor(Protocol):
    """What edits a body piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, edited as far as they can be judged."""

    def finish(self) -> bytes:
        """What was held back."""


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
        self._destination = environ.get("HTTP_SEC_FETCH_DEST", "")
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
        kind = self._kind(status, fields)
        tags = tags_for(headers, self._tools.runtime) if self._may_have_script(kind) else None
        headers = self._mapped(headers, tags is not None)
        condition = self._environ.get("HTTP_IF_NONE_MATCH", "")
        if status == 304 and was_mixed(condition, self._tools.mark):
            return self._with_mixed_tag(headers), body
        if kind is None:
            return headers, body
        headers = [pair for pair in headers if pair[0].lower() not in _OUTDATED]
        headers = self._with_mixed_tag(headers)
        if kind in ("html", "xhtml", "worker") or fields.get("content-type") == "application/json":
            headers.append(("Vary", "Sec-Fetch-Dest, Accept"))
        if method == "HEAD":
            return headers, body
        coding = normal(fields.get("content-encoding", ""))
        if isinstance(body, list):  # all of it is here, so its length can be told
            whole = b"".join(_Edited(body, self._editor(kind, tags), coding, _ignore))
            return [*headers, ("Content-Length", str(len(whole)))], [whole]
        return headers, _Edited(body, self._editor(kind, tags), coding, on_failure)

    def _kind(self, status: int, fields: dict[str, str]) -> str | None:
        """What sort of text this is, or ``None`` if it must not be touched."""
        if status in (204, 205, 206, 304) or status < 200 or "content-range" in fields:
            return None
        content_type = fields.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        kind = _KINDS.get(media_type)
        if kind is None and self._destination in _WORKERS and _SCRIPTS.fullmatch(media_type):
            kind = "worker"
        if kind is None and self._destination == "manifest" and media_type.endswith("json"):
            kind = "manifest"
        is_ours = (
            kind is not None
            and not _STRANGE.search(content_type)
            and not fields.get("content-disposition", "").strip().lower().startswith("attachment")
            and "no-transform" not in fields.get("cache-control", "").lower()
            and normal(fields.get("content-encoding", "")) in known_codings()
        )
        return kind if is_ours else None

    def _may_have_script(self, kind: str | None) -> bool:
        """Whether this is a page of its own, rather than a piece that a script asked for."""
        if kind not in ("html", "xhtml"):
            return False
        if self._destination:
            return self._destination in _DOCUMENTS
        accept = self._environ.get("HTTP_ACCEPT", "")
        return "text/html" in accept and not any(key in self._environ for key in _PIECE_KEYS)

    def _mapped(self, headers: HeaderList, has_tags: bool) -> HeaderList:
        urls = self._tools.urls
        mapped = []
        for name, value in headers:
            lowered = name.lower()
            if lowered in _URL_HEADERS:
                value = urls.map_text(value)
            elif lowered in _QUOTED:
                value = _QUOTED_URL.sub(lambda m: f'"{urls.map_text(m[1])}"', value)
            mapped.append((name, value))
        return edit_policies(urls, mapped, self._tools.runtime, has_tags)

    def _with_mixed_tag(self, headers: HeaderList) -> HeaderList:
        mark = self._tools.mark
        return [
            (name, mixed(value, mark) if name.lower() == "etag" else value)
            for name, value in headers
        ]

    def _editor(self, kind: str, tags: Tags | None) -> Editor:
        urls = self._tools.urls
        if kind == "css":
            return CssEditor(urls)
        if kind == "manifest":
            return ManifestEditor(urls)
        if kind == "worker":
            return _Prefixed(self._tools.runtime.code)
        script, modules = tags or (b"", b"")
        return HtmlEditor(urls, script, modules, is_xml=kind != "html")


def _ignore(error: ExchangeError) -> None:
    """Nothing has gone out yet: whoever called will tell of the error."""


class _Prefixed:
    """A worker's script with ours in front of it, on a line that is not counted."""

    def __init__(self, script: bytes) -> None:
        self._script = script.replace(b"\n", b" ")

    def feed(self, data: bytes) -> bytes:
        script, self._script = self._script, b""
        return script + data

    def finish(self) -> bytes:
        return self.feed(b"")


class _Edited:
    """A body on its way through an editor, taken out of its coding and put into it again.

    Every piece that comes in is passed on as far as it can be judged before the next is
    waited for.
    """

    def __init__(
        self,
        body: Iterable[bytes],
        editor: Editor,
        coding: str,
        on_failure: Callable[[ExchangeError], object],
    ) -> None:
        self._body = body
        self._editor = editor
        self._decoder, self._encoder = Decoder(coding), Encoder(coding)
        self._on_failure = on_failure
        self._is_first = True
        self._pieces = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Called by the server in the end."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _run(self) -> Iterator[bytes]:
        for piece in self._body:
            made = b"".join((*self._edited(piece), self._encoder.flush()))
            if made:
                yield made
        yield self._ended()

    def _edited(self, piece: bytes) -> Iterator[bytes]:
        decoded = self._decoder.feed(piece)
        while True:
            try:
                text = next(decoded)
            except StopIteration:
                return
            except ExchangeError as error:
                self._failed(error)
                raise
            if self._is_first:
                self._is_first = False
                if text[:2] in _UTF16_MARKS:
                    self._editor = _Prefixed(b"")
            yield self._encoder.feed(self._editor.feed(text))

    def _ended(self) -> bytes:
        try:
            self._decoder.finish()
        except ExchangeError as error:
            self._failed(error)
            raise
        return self._encoder.feed(self._editor.finish()) + self._encoder.finish()

    def _failed(self, error: ExchangeError) -> None:
        self.close()
        self._on_failure(error)
