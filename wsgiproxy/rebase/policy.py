"""Content Security Policy of a rebased page: its own URLs mapped, our script allowed.

Nothing else is loosened: what is added names one file or one hash, and only where the
page allows scripts at all. A text that a policy knows by its hash is not edited.
"""

from __future__ import annotations

import copy
import re
from typing import NamedTuple

from ..protocol.fields import HeaderList
from .page_urls import PageUrls
from .runtime import Runtime

__all__ = ["Policies", "Tags"]

_ENFORCED = "content-security-policy"
_REPORTED = "content-security-policy-report-only"
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'", re.IGNORECASE)
_HASH = re.compile(r"'sha(?:256|384|512)-[A-Za-z0-9+/_=-]+'", re.IGNORECASE)
# Directives whose values are URLs or sources, which may name the upstream.
_LISTS = re.compile(r"[a-z]+(?:-[a-z]+)*-src(?:-elem|-attr)?|form-action|frame-ancestors|base-uri")
# What governs each kind of text within a page, the closest first (CSP 3, 6.8.3).
_GOVERNS = {
    "script": ("script-src-elem", "script-src", "default-src"),
    "import-map": ("script-src-elem", "script-src", "default-src"),
    "style": ("style-src-elem", "style-src", "default-src"),
    "style-attribute": ("style-src-attr", "style-src", "default-src"),
}
# What demands a hash of each script (Integrity Policy, and its forerunner in CSP).
_DEMANDS = ("integrity-policy", "require-sri-for")

_Directive = list[str]
_Policy = list[_Directive]


class Tags(NamedTuple):
    """What goes into a page: in front of all scripts, and before the first module."""

    script: bytes
    modules: bytes


class Policies:
    """The policies of one page.

    :param urls: where URLs belong.
    :param runtime: our script, if the page may get it.
    :param headers: of the response.
    """

    def __init__(
        self, urls: PageUrls, runtime: Runtime | None = None, headers: HeaderList | None = None
    ) -> None:
        self._urls = urls
        self._runtime = runtime
        headers = headers or []
        self._enforced = _parsed(headers, _ENFORCED)
        self._known = self._enforced + _parsed(headers, _REPORTED)
        nonces = [
            n for policy in self._enforced for n in _NONCE.findall(_sources(policy, "script"))
        ]
        self._nonce = nonces[0] if nonces else ""
        self._wants_hash = any(_demands_hash(*pair) for pair in headers)

    def copy(self) -> Policies:
        """The same for a page within the page, which inherits them."""
        twin = copy.copy(self)
        twin._enforced, twin._known = list(self._enforced), list(self._known)
        return twin

    @property
    def forbids_scripts(self) -> bool:
        """Whether the page may run no scripts at all."""
        return any(map(_forbids_scripts, self._enforced))

    def tags(self) -> Tags | None:
        """The tags for the page, or ``None`` if it may run no scripts."""
        if self._runtime is None or self.forbids_scripts:
            return None
        is_restricted = any(_governing(policy, "script") for policy in self._enforced)
        with_hash = self._wants_hash or (is_restricted and not self._nonce)
        script = self._runtime.script_tag(self._nonce, with_hash=with_hash)
        return Tags(script, self._runtime.modules_tag(self._nonce))

    def may_edit(self, kind: str, nonce: str = "") -> bool:
        """Whether a text of this kind may be edited: no policy knows it by its hash.

        :param kind: ``style``, ``style-attribute`` or ``import-map``.
        :param nonce: of the element; a policy that has the same asks for no hash.
        """
        for policy in self._known:
            sources = _sources(policy, kind)
            if _HASH.search(sources) and nonce not in _NONCE.findall(sources):
                return False
        return True

    def edited(self, headers: HeaderList) -> HeaderList:
        """The headers with their policies adapted, and opened if the page gets tags."""
        if not self._known:
            return headers
        opens = self._runtime is not None and not self.forbids_scripts
        edited = []
        for name, value in headers:
            if name.lower() in (_ENFORCED, _REPORTED):
                policies = [self._adapted(policy, opens) for policy in value.split(",")]
                value = ",".join(policies)
            edited.append((name, value))
        return edited

    def add(self, policy: str) -> str:
        """Take in a policy that stands in the page, and give it back adapted."""
        parsed = _directives(policy)
        self._enforced.append(parsed)
        self._known.append(parsed)
        return self._adapted(policy, self._runtime is not None)

    def _adapted(self, text: str, opens: bool) -> str:
        policy = _directives(text)
        _map(self._urls, policy)
        if opens and self._runtime is not None and not _forbids_scripts(policy):
            _allow(policy, self._runtime, f"'nonce-{self._nonce}'" if self._nonce else "")
        return text if policy == _directives(text) else "; ".join(map(" ".join, policy))


def _parsed(headers: HeaderList, wanted: str) -> list[_Policy]:
    values = [value for name, value in headers if name.lower() == wanted]
    return [_directives(policy) for value in values for policy in value.split(",")]


def _demands_hash(name: str, value: str) -> bool:
    """Whether a header demands that scripts say their hash."""
    name, value = name.lower(), value.lower()
    return "script" in value if name == _DEMANDS[0] else name == _ENFORCED and _DEMANDS[1] in value


def _directives(policy: str) -> _Policy:
    return [directive.split() for directive in policy.split(";") if directive.strip()]


def _governing(policy: _Policy, kind: str) -> _Directive | None:
    """The directive that governs texts of a kind, if one does."""
    for wanted in _GOVERNS[kind]:
        for directive in policy:
            if directive[0].lower() == wanted:
                return directive
    return None


def _sources(policy: _Policy, kind: str) -> str:
    directive = _governing(policy, kind)
    return " ".join(directive[1:]) if directive else ""


def _forbids_scripts(policy: _Policy) -> bool:
    for directive in policy:
        if directive[0].lower() == "sandbox" and "allow-scripts" not in map(str.lower, directive):
            return True
    governing = _governing(policy, "script")
    return governing is not None and " ".join(governing[1:]).lower() in ("", "'none'")


def _allow(policy: _Policy, runtime: Runtime, nonce: str) -> None:
    """Let our script and our import map in, if this policy does not yet."""
    directive = _governing(policy, "script")
    if directive is None or (nonce and nonce in directive):
        return
    sources = [source.lower() for source in directive[1:]]
    has_proofs = any(_NONCE.fullmatch(s) or _HASH.fullmatch(s) for s in directive[1:])
    added = []
    if "'strict-dynamic'" in sources:
        added = [runtime.hash, runtime.modules_hash]
    else:
        if not {"'self'", "*"} & set(sources):
            added.append(runtime.source)
        if has_proofs or "'unsafe-inline'" not in sources:
            added.append(runtime.modules_hash)
    if not added:
        return
    if directive[0].lower() == "default-src":  # for scripts only, not for all it governs
        directive = ["script-src", *directive[1:]]
        policy.append(directive)
    directive += added


def _map(urls: PageUrls, policy: _Policy) -> None:
    for directive in policy:
        kind = directive[0].lower()
        if kind == "report-uri":
            directive[1:] = [urls.map_text(url) for url in directive[1:]]
        elif _LISTS.fullmatch(kind):
            directive[1:] = [_map_source(urls, source) for source in directive[1:]]


def _map_source(urls: PageUrls, source: str) -> str:
    """A source that names the upstream names us instead; its path goes under the prefix."""
    if source.startswith("'") or source.endswith(":") or source == "*" or not urls.front:
        return source
    host = source.partition("://")[2] or source
    mapped = urls.map_text("//" + host)
    front = urls.front.decode()
    if host.partition("/")[0].lower() == front.lower() and "/" in host:
        mapped = urls.map_text("/" + host.partition("/")[2])  # the upstream was told our Host
    elif mapped == "//" + host:
        return source
    if source.lower().startswith("ws"):
        front = ("wss://" if urls.tls else "ws://") + front
    return front + (mapped if "/" in host else "")
