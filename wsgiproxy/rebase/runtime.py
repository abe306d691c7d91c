"""The script that helps where URLs are computed by scripts, and how a page gets it.

It is a file of its own, under a name with its hash, so that a page grows by one short tag
and a browser fetches it once; see ``runtime.js`` and ``runtime_document.js`` for what it does.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import lru_cache
from html import escape
from importlib import resources

from .import_map import import_map
from .page_urls import PageUrls

__all__ = ["NAME", "Runtime"]

_PARTS = ("runtime.js", "runtime_document.js")
_GAP = "// The rest is in runtime_document.js.\n"
#: How the path of the script begins, under each rebased prefix.
NAME = "/.wsgiproxy-rebase-"


class Runtime:
    """The script for one urls.

    ``source`` and ``hash`` are what allows it in a Content Security Policy.
    """

    def __init__(self, urls: PageUrls) -> None:
        hosts = tuple(host.encode("latin-1", "replace") for host in urls.hosts)
        self.code = _code(urls.prefix.decode(), hosts, urls.base.decode())
        self._digest = _digest(self.code)
        self.path = NAME + hashlib.sha256(self.code).hexdigest()[:12] + ".js"
        self.url = urls.prefix.decode() + self.path
        self.source = urls.front.decode() + self.url if urls.front else "'self'"
        self.hash = f"'sha256-{self._digest}'"
        self._map = import_map(urls)
        self.modules_hash = f"'sha256-{_digest(self._map)}'"

    def script_tag(self, nonce: str = "", *, with_hash: bool = False) -> bytes:
        """The tag for pages.

        :param nonce: of the page's policy.
        :param with_hash: whether the policy may have to know the script by its hash.
        """
        proof = f' nonce="{escape(nonce)}"' if nonce else ""
        if with_hash:
            proof += f' integrity="sha256-{self._digest}"'
        return f'<script src="{self.url}"{proof}></script>'.encode()

    def modules_tag(self, nonce: str = "") -> bytes:
        """The import map for a page that has none."""
        proof = f' nonce="{escape(nonce)}"' if nonce else ""
        return f'<script type="importmap"{proof}>'.encode() + self._map + b"</script>"

    def response(self, accept_encoding: str) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body for a request for the script; the name tells the version."""
        body = self.code
        headers = [
            ("Content-Type", "text/javascript; charset=utf-8"),
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("X-Content-Type-Options", "nosniff"),
            ("Vary", "Accept-Encoding"),
        ]
        if "gzip" in accept_encoding.lower():
            body = _compressed(body)
            headers.append(("Content-Encoding", "gzip"))
        return [*headers, ("Content-Length", str(len(body)))], body


def _digest(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


@lru_cache(1)
def _template() -> str:
    """The script in one piece, without its comments and indentation."""
    # Not by the path of this module: the package may be imported from a zip file.
    folder = resources.files(__package__)
    text, document = (folder.joinpath(name).read_text("utf-8") for name in _PARTS)
    lines = (line.strip() for line in text.replace(_GAP, document).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


@lru_cache(64)
def _code(prefix: str, hosts: tuple[bytes, ...], base: str) -> bytes:
    marks = sorted({_fingerprint(host) for host in hosts})
    arguments = ", ".join(json.dumps(value) for value in (prefix, marks, base))
    return f"{_template()}({arguments});\n".encode()


def _fingerprint(host: bytes) -> int:
    """FNV-1a, 32 bits: the script can know the upstream's address but does not tell it."""
    value = 0x811C9DC5
    for byte in host:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


@lru_cache(16)
def _compressed(code: bytes) -> bytes:
    return gzip.compress(code, mtime=0)
