"""The body of a request that a view passes on, and what is left of it for Django."""

from __future__ import annotations

import io
from typing import Any

from django.conf import settings
from django.http.request import RawPostDataException

__all__ = ["Tee"]

#: Bytes that are kept where ``DATA_UPLOAD_MAX_MEMORY_SIZE`` sets no limit: Django's own default.
MOST = 2621440


class Tee:
    """A request's input, of which a short body is kept while the upstream gets it.

    :param stream: the server's ``wsgi.input``.

    So ``request.body`` and ``request.POST`` are there after the view, as far as Django itself
    would hold them in memory; and nothing waits for the end of an upload.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._kept: list[bytes] | None = []
        self._size = 0
        self._at_end = False
        if hasattr(stream, "read1"):
            self.read1 = self._read1

    def read(self, size: int = -1) -> bytes:
        """Some bytes, as the server gives them."""
        return self._keep(self._stream.read(size))

    def _read1(self, size: int = -1) -> bytes:
        return self._keep(self._stream.read1(size))

    def _keep(self, piece: bytes) -> bytes:
        self._size += len(piece)
        self._at_end = self._at_end or not piece
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if self._kept is not None and self._size <= (MOST if limit is None else limit):
            self._kept.append(piece)
        else:
            self._kept = None
        return piece

    def give_back(self, request: Any) -> None:
        """Let a Django request have the body, or Django's own error for a body that is gone.

        :param request: the one whose input this is.
        """
        length = str(request.META.get("CONTENT_LENGTH") or "")
        if not self._size and not self._at_end:
            return  # nobody has touched it
        is_whole = self._size == int(length) if length.isdigit() else self._at_end
        if self._kept is not None and is_whole:
            request._body = b"".join(self._kept)
            request._stream = io.BytesIO(request._body)
        else:
            request._stream = _Spent()


class _Spent:
    """The input of a request after its body has gone upstream."""

    def read(self, *size: int) -> bytes:
        """Say so, as Django does."""
        raise RawPostDataException(
            "You cannot access body after a ProxyView has passed it on; it is larger than "
            "DATA_UPLOAD_MAX_MEMORY_SIZE, or the upstream did not read it to its end."
        )

    readline = read
