"""Where rules and themes are read from, and what has been read."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname, urlopen

from lxml import etree

from ..errors import ConfigurationError
from .charset import to_utf8
from .markup import mend_theme

__all__ = ["NETWORK", "OURS", "CompileResolver", "Document", "SourceReader", "stamp"]

#: Before a network URL: one that is fetched here and not by diazo, which has no limits.
OURS = "wsgiproxy+"
NETWORK = ("http://", "https://", "ftp://", "ftps://")
_NETWORK_SECONDS = 10.0


class Document(BytesIO):
    """The text of a file, with the file's name as lxml's base of relative URLs.

    :param content: the text.
    :param name: path or URL.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def stamp(path: str) -> tuple[int, int, int] | None:
    """A value that changes when the file does.

    :param path: of the file.
    :returns: ``None`` for a file that cannot be read.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class SourceReader:
    """Reads what one compilation needs, and records which files that was.

    :param read_network: whether http, https and ftp URLs may be fetched.
    :param max_size: bytes, the limit for what comes from network or application.
    :param ask: fetches a page of the wrapped application; ``None`` forbids that.
    """

    def __init__(
        self, read_network: bool, max_size: int, ask: Callable[[str], bytes] | None
    ) -> None:
        self.read_network = read_network
        self.max_size = max_size
        self.ask = ask
        self.seen: dict[str, tuple[int, int, int] | None] = {}

    def open(self, source: str, name: str) -> Document:
        """The document that an option names.

        :param source: path, ``python://``, ``file://``, URL, or markup.
        :param name: the option, for messages.
        :raises ConfigurationError: if it cannot be read.
        """
        if source.lstrip("\ufeff \t\r\n").startswith("<"):
            return Document(source.encode(), os.path.join(os.getcwd(), f"({name})"))
        try:
            return self.fetch(source)
        except (OSError, ValueError, ImportError) as error:
            raise ConfigurationError(f"{name} {source!r} cannot be read: {error}") from None

    def fetch(self, url: str) -> Document:
        """Read a URL or path, relative ones from the working directory.

        :param url: ``file://``, ``python://``, a network URL, or a path.
        :raises OSError: if it cannot be read or may not be.
        """
        if url.startswith(NETWORK):
            return Document(self._from_network(url), url)
        path = local_path(url)
        if self.ask is not None and not os.path.exists(path):
            return Document(self.ask(url), url)
        path = os.path.abspath(path)
        self.seen[path] = stamp(path)
        return Document(Path(path).read_bytes(), path)

    def _from_network(self, url: str) -> bytes:
        if not self.read_network:
            raise PermissionError(f"{url} is on the network; set read_network to allow that")
        with urlopen(url, timeout=_NETWORK_SECONDS) as answer:  # noqa: S310 - scheme checked
            content: bytes = answer.read(self.max_size + 1)
        if len(content) > self.max_size:
            raise OSError(f"{url} is over max_size ({self.max_size} bytes)")
        return content


def local_path(url: str) -> str:
    """The path that a URL stands for.

    :param url: ``file://``, ``python://package/file``, or a plain path.
    :raises OSError: for other schemes and packages that do not exist.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    if parts.scheme == "python":
        try:
            return str(files(parts.netloc).joinpath(parts.path.lstrip("/")))
        except ModuleNotFoundError:
            raise FileNotFoundError(f"there is no package {parts.netloc!r} for {url}") from None
    if "://" in url:
        raise OSError(f"{url} has a scheme that is not read here")
    return url


class CompileResolver(etree.Resolver):  # type: ignore[misc]  # lxml carries no types
    """Reads every document while rules and theme are compiled.

    There is a single resolver on purpose: lxml asks several in no certain order.

    :param reader: reads the files.
    :param protect: takes out of a theme what XSLT cannot hold; ``None`` for rules.
    """

    def __init__(
        self, reader: SourceReader, protect: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._reader = reader
        self._protect = protect

    def resolve(self, url: str, pubid: str | None, context: object) -> object:
        """Read one document; lxml calls this.

        :param url: as rules or theme have it.
        :param pubid: not used.
        :param context: lxml's.
        :raises OSError: ends the compilation.
        """
        if url.startswith("file:///__diazo"):
            return None
        content = self._reader.fetch(url.removeprefix(OURS)).getvalue()
        if self._protect is not None:
            content = mend_theme(self._protect(mend_theme(to_utf8(content, None))))
        return self.resolve_string(content, context, base_url=url)
