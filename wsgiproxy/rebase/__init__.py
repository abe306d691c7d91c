"""Links of services that believe they live at ``/``, led under the prefix they are at.

- :class:`Rebasing` accompanies one request: what is changed in it, in the headers of its
  answer and in its body. ``kinds`` and ``first_bytes`` say what a body is; ``html``, ``css``,
  ``json_urls`` and ``dav`` find the URLs in text that streams; ``page_urls`` says where a URL
  belongs; ``policy`` what a page allows; ``runtime.js`` meets the URLs that scripts compute.
- :class:`Strays` stands before the wrapped application and sends on what came without
  the prefix all the same.
"""

from __future__ import annotations

from .adapt import Rebasing
from .strays import Strays

__all__ = ["Rebasing", "Strays"]
