"""One theme over a Django site and a plain service behind it.

Start the service and the front, then visit http://127.0.0.1:8080/ ::

    python examples/themed/upstream.py 9999 &
    python examples/themed/app.py 8080 http://127.0.0.1:9999
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent.parent))

from examples.themed.django_site import application as site  # noqa: E402
from wsgiproxy import ProxyMiddleware  # noqa: E402
from wsgiproxy.theming import ThemeMiddleware  # noqa: E402


def make(upstream: str) -> Any:
    """The whole front: the theme, the proxy, the site."""
    return ThemeMiddleware(ProxyMiddleware(site, {"/stock": upstream}), rules=HERE / "rules.xml")


if __name__ == "__main__":
    import waitress

    server = waitress.create_server(make(sys.argv[2]), listen=f"127.0.0.1:{sys.argv[1]}")
    print(f"http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
