"""A plain service: old HTML of its own making, on a port of its own."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<HTML><HEAD><TITLE>Stock</TITLE></HEAD><BODY bgcolor=yellow>
<DIV id=body><H1>Stock of the shed</H1>
<TABLE id=stock><TR><TH>Thing<TH>Count<TR><TD>Rope, caf\u00e9 brown<TD>12<TR><TD>Tar<TD>3</TABLE>
<FONT class=ad>Buy anchors now!</FONT></DIV></BODY></HTML>"""


class Stock(BaseHTTPRequestHandler):
    """Answers every GET with the stock, in Latin-1 as it always did."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page."""
        body = PAGE.encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=iso-8859-1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


def start(port: int = 0) -> ThreadingHTTPServer:
    """The server, listening on the loopback interface and not serving yet."""
    return ThreadingHTTPServer(("127.0.0.1", port), Stock)


if __name__ == "__main__":
    server = start(int(sys.argv[1]) if len(sys.argv) > 1 else 9999)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
