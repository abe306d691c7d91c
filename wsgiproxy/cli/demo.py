"""``python -m wsgiproxy --demo``: a small application, and a real service under a prefix."""

from __future__ import annotations

import contextlib
import html
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["PREFIX", "application", "file_server"]

PREFIX = "/new_req"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>wsgiproxy</title></head>
<body>
<h1>This page comes from the wrapped application</h1>
<p><a href="{prefix}/">{prefix}/</a> comes from another service on another port:
<code>python -m http.server</code>, which shows the folder it was started in.
It knows nothing of the prefix, nor of the proxy.</p>
</body>
</html>
"""


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The wrapped application: a page at ``/``, 404 elsewhere."""
    is_page = environ.get("PATH_INFO", "") in ("", "/")
    prefix = html.escape(environ.get("SCRIPT_NAME", "") + PREFIX)
    page = _PAGE.format(prefix=prefix) if is_page else "<!DOCTYPE html><title>Not found</title>\n"
    body = page.encode()
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK" if is_page else "404 Not Found", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@contextlib.contextmanager
def file_server(folder: str = os.curdir) -> Iterator[str]:
    """Run ``python -m http.server`` on a free port of the loopback; yields its URL.

    The child ends with the block, whatever ends that.

    :raises ConfigurationError: if it does not start.
    """
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1"]
    child = subprocess.Popen(  # noqa: S603 - no input from outside is in it
        [*command, "--directory", folder, "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with child:
        try:
            assert child.stdout is not None
            words = child.stdout.readline().split()  # Serving HTTP on 127.0.0.1 port 8000 ...
            if "port" not in words:
                raise ConfigurationError("python -m http.server did not start; try it by itself")
            yield f"http://127.0.0.1:{words[words.index('port') + 1]}"
        finally:
            child.terminate()
