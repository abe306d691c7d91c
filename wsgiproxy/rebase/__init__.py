"""Links of services that believe they live at ``/``, led under the prefix they are at.

- :class:`Rebasing` accompanies one request: what is changed in it, in the headers of its
  answer and in its body. ``urls`` says where a URL belongs; ``html``, ``css`` and
  ``manifest`` find the URLs in text that streams; ``runtime.js`` meets those that scripts
  compute.
- :class:`Strays` stands before the wrapped application and sends on what came without
  the prefix all the same.
"""

from __future__ import annotations

from .adapt import Rebasing
from .strays import Strays

__all__ = ["Rebasing", "Strays"]
