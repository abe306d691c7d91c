"""What theming relies on inside of diazo and libxml2, checked once in each process.

``stylesheet.py`` looks for templates that diazo generates, by the text of their ``match`` and
``mode``, and puts faster ones in their place. ``markup.py`` takes it for granted that
libxml2 finds tags as the HTML Living Standard says. Neither is promised by anybody. If one
has changed, a warning says so, and what to do.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from lxml import etree

from ..errors import ConfigurationError

__all__ = ["check_diazo_functions", "diazo_is_known", "libxml2_is_known"]

log = logging.getLogger("wsgiproxy.theming")

# The stylesheets that make and that are the generated one, without comments and white
# space between elements; the same in diazo 2.0.0 to 2.0.6.
_DIAZO_FILES = {
    "defaults.xsl": "c5ccee300c103bdb",
    "emit-stylesheet.xsl": "a0a120c98a1cf734",
    "identity.xsl": "194c90078836588c",
}
_KEYWORDS = ("theme", "absolute_prefix", "includemode", "parser", "rules_parser", "read_network",
             "xsl_params")  # fmt: skip
# Pairs that mean the same to a browser (HTML Living Standard, section 13.2.5): comments, raw
# text that holds tags, scripts within comments, and what is in quotes.
_SAME = (
    (b"<p>a<!-->b<!--c--!>d", b"<p>a<!---->b<!--c-->d"),
    (b"<p><textarea><b></textarea>x", b"<p><textarea>&lt;b></textarea>x"),
    (b"<p><title><b></title>x", b"<p><title>&lt;b></title>x"),
    (b"<p><xmp></x></xmp >x", b"<p><xmp></x></xmp>x"),
    (b"<p><script></scripts></script/>x", b"<p><script></scripts></script>x"),
    (b'<p><a ="b>c">d', b'<p><a ="b>c"&gt;d'),
    (b"<p>a<![CDATA[>b]]>", b"<p>a<!--[CDATA[-->b]]&gt;"),
)
_NESTED_SCRIPT = b"<p><script><!--<script></script>--></script>x"


def check_diazo_functions(compile_theme: Any) -> None:
    """Check that diazo's compiler takes what it will be given.

    :param compile_theme: diazo's function.
    :raises ConfigurationError: if it does not; the message names the version.
    """
    missing = sorted(set(_KEYWORDS) - set(inspect.signature(compile_theme).parameters))
    if missing:
        raise ConfigurationError(
            f"diazo {version('diazo')} does not take {', '.join(missing)};"
            " pip install 'diazo>=2,<3' or a newer wsgi-reverse-proxy"
        )


@cache
def diazo_is_known() -> bool:
    """Whether diazo makes the stylesheets that :mod:`.stylesheet` knows; warns once if not."""
    changed = [name for name, known in _DIAZO_FILES.items() if _digest(name) != known]
    if changed:
        log.warning(
            "diazo %s has other insides than wsgi-reverse-proxy knows (%s): pages are themed by"
            " its stylesheet as it is, which is slower, and have no ETag;"
            " pip install 'diazo==2.0.6' or a newer wsgi-reverse-proxy",
            version("diazo"),
            ", ".join(changed),
        )
    return not changed


def _digest(name: str) -> str | None:
    """What tells one text of diazo's stylesheets from another; ``None`` without that file."""
    try:
        text = (files("diazo") / name).read_text("utf-8")
        plain = etree.canonicalize(text, strip_text=True, with_comments=False)
    except (OSError, etree.LxmlError, ValueError):
        return None
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


@cache
def libxml2_is_known() -> bool:
    """Whether libxml2 finds tags as browsers do (2.14 and newer); warns once if not."""
    known = all(_read(one) == _read(other) for one, other in _SAME)
    if known and _read(_NESTED_SCRIPT).count(b"script>") == 4:
        return True
    log.warning(
        "libxml2 %s finds tags by other rules than browsers: what a page shows as text could"
        " become markup in the themed page; install the wheels of lxml 6 or newer, which have"
        " libxml2 2.14: pip install --force-reinstall --only-binary lxml 'lxml>=6'",
        ".".join(map(str, etree.LIBXML_VERSION)),
    )
    return False


def _read(page: bytes) -> bytes:
    root = etree.fromstring(page, etree.HTMLParser(encoding="utf-8", no_network=True))
    return bytes(etree.tostring(root, method="html", encoding="utf-8"))
