"""Compiles rules and theme into a transformation; errors name file and line."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diazo.compiler import compile_theme, set_parser
from lxml import etree

from ..errors import ConfigurationError
from .charset import to_utf8
from .check import check_rules, explain, find_conflicts, parse_rules, rules_parser
from .contract import check_diazo_functions, diazo_is_known, libxml2_is_known
from .includes import IncludeResolver, blank_environ, fetch_page, sub_environ
from .markup import mend_theme
from .page import PageError
from .protect import Protection
from .settings import DOCUMENT_PARAMS, ThemeOptions
from .source_reader import NETWORK, OURS, CompileResolver, Document, SourceReader
from .stylesheet import changes_content, has_includes, improve

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Compiled", "compile_all"]

check_diazo_functions(compile_theme)

# diazo keeps its own stylesheets in module globals, which lxml must not run in two
# threads at a time.
_ONE_AT_A_TIME = threading.RLock()


def _thread_local() -> Any:
    """A store per operating system thread, as lxml's own: not one per greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original("_thread", "_local")()
    return threading.local()


class Compiled:
    """A transformation that any number of threads may use at once.

    lxml ties a stylesheet to the thread that made it and copies it at every call from
    another one, and the copy has lost the white space of ``xsl:text``. So each thread makes
    its own, once.

    :param make: compiles the stylesheet; called once in each thread.
    :param fingerprint: text that is equal for equal output, also in other processes.
    :param protection: of the names that XSLT cannot hold.
    :param has_includes: whether themed pages hold parts of other pages.
    :param changes_content: whether content is more than copied.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        fingerprint: str,
        protection: Protection,
        has_includes: bool,
        changes_content: bool,
    ) -> None:
        self.fingerprint = fingerprint
        self.protection = protection
        self.has_includes = has_includes
        self.changes_content = changes_content
        self.modified = float(int(time.time()))
        self._make = make
        self._making = threading.Lock()
        self._local = _thread_local()
        self._local.xslt = make()

    def transform(self, tree: Any, params: Mapping[str, Any]) -> Any:
        """Apply rules and theme to a page.

        :param tree: the page.
        :param params: XSLT parameters, quoted.
        :returns: the themed page, an lxml result tree.
        :raises lxml.etree.LxmlError: if the stylesheet gives up.
        """
        xslt = getattr(self._local, "xslt", None)
        if xslt is None:
            with self._making:
                xslt = self._local.xslt = self._make()
        return xslt(tree, **params)


def compile_all(
    options: ThemeOptions, app: WSGIApplication, theme: str | None, reader: SourceReader
) -> Compiled:
    """Compile the rules with a theme.

    :param options: of the middleware.
    :param app: the wrapped application, for includes and ``read_app``.
    :param theme: the theme's place or its markup; ``None`` if the rules name theirs.
    :param reader: records what it has read, also when this fails.
    :raises ConfigurationError: names file, line and error.
    """
    libxml2_is_known()
    with _ONE_AT_A_TIME:
        rules = reader.open(str(options.rules), "rules")
        check_rules(rules, reader)
        try:
            return _compile(options, app, rules, theme, reader)
        except ConfigurationError:
            raise
        except (etree.LxmlError, OSError, ValueError, TypeError, LookupError) as error:
            message = explain(error)
            if "Multiple unconditional" in message:
                where = find_conflicts(rules, reader)
                message += f" Give all but one of these a condition: {where}" if where else ""
            raise ConfigurationError(f"rules {rules.name}: {message}") from None


def _compile(
    options: ThemeOptions,
    app: WSGIApplication,
    rules: Document,
    theme: str | None,
    reader: SourceReader,
) -> Compiled:
    protection = Protection()
    parser = etree.HTMLParser(encoding="utf-8", no_network=True)
    parser.resolvers.add(CompileResolver(reader, protection.apply))
    stylesheet = compile_theme(
        _without_network(rules, reader),
        theme=_theme_document(theme, reader, protection),
        absolute_prefix=options.prefix,
        includemode=options.includemode,
        parser=parser,
        rules_parser=rules_parser(reader),
        read_network=options.read_network,
        xsl_params=_known_params(options),
    )
    # Of a stylesheet that is not known, the worst is assumed.
    is_known = diazo_is_known()
    changes = not is_known or changes_content(stylesheet)
    includes = not is_known or has_includes(stylesheet)
    if options.html5 and is_known:
        improve(stylesheet)
    text = etree.tostring(stylesheet)
    folders = sorted({Path(path).resolve().parent for path in reader.seen})

    runtime = etree.HTMLParser(encoding="utf-8", no_network=True)
    runtime.resolvers.add(IncludeResolver(app, options, folders))
    document = set_parser(text, runtime)

    def make() -> Any:
        return etree.XSLT(document, access_control=_access(options))

    fingerprint = _fingerprint(protection.neutral(text), options)
    return Compiled(make, fingerprint, protection, includes, changes)


def _without_network(rules: Document, reader: SourceReader) -> Document:
    """The rules for diazo: themes on the network are left to our resolver."""
    tree = parse_rules(rules, reader)
    network = [
        theme for theme in tree.iter("{*}theme") if theme.get("href", "").startswith(NETWORK)
    ]
    if not network:
        return Document(rules.getvalue(), rules.name)
    for theme in network:
        theme.set("href", OURS + theme.get("href"))
    return Document(etree.tostring(tree), rules.name)


def _theme_document(
    theme: str | None, reader: SourceReader, protection: Protection
) -> Document | None:
    if theme is None:
        return None
    document = reader.open(theme, "theme")
    markup = mend_theme(to_utf8(document.getvalue(), None))
    return Document(mend_theme(protection.apply(markup)), document.name)


def _access(options: ThemeOptions) -> Any:
    """What XSLT may do; which files are read is decided by the resolver, which has them all."""
    return etree.XSLTAccessControl(
        read_file=True,
        write_file=False,
        create_dir=False,
        read_network=options.read_network,
        write_network=False,
    )


def _known_params(options: ThemeOptions) -> dict[str, Any]:
    """Every parameter the stylesheet will be given, with its value when nothing is."""
    names = [*DOCUMENT_PARAMS.values(), *(name for _, name in options.environ_param_map)]
    fixed = {k: str(v) if isinstance(v, float | int) else v for k, v in options.params}
    return dict.fromkeys(names) | fixed


def _fingerprint(text: bytes, options: ThemeOptions) -> str:
    """The same for the same output, in every process and after a restart."""
    parts = (
        text,
        repr((options.html5, options.doctype, options.charset, options.content_type)).encode(),
        repr((etree.LXML_VERSION, etree.LIBXML_VERSION, etree.LIBXSLT_VERSION)).encode(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def app_reader(app: WSGIApplication, options: ThemeOptions) -> Any:
    """A function that reads rules and themes from the wrapped application.

    :param app: the wrapped application.
    :param options: ``read_app`` allows it.
    :returns: ``None`` if it is not allowed.
    """
    if not options.read_app:
        return None

    def ask(url: str) -> bytes:
        try:
            return fetch_page(app, sub_environ(blank_environ(), url), options)[0]
        except PageError as error:
            raise FileNotFoundError(f"{url} from the application: {error}") from None

    return ask
