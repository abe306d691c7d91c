"""Content Security Policy of a rebased page: its own URLs mapped, our script allowed.

Nothing else is loosened: what is added names one file or one hash, and only where the
page allows scripts at all.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..protocol.fields import HeaderList
from .page_urls import PageUrls
from .runtime import Runtime

__all__ = ["Tags", "edit_policies", "tags_for"]

_POLICIES = ("content-security-policy", "content-security-policy-report-only")
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'", re.IGNORECASE)
_HASH = re.compile(r"'sha(?:256|384|512)-[A-Za-z0-9+/_=-]+'", re.IGNORECASE)
# Directives whose values are URLs or sources, which may name the upstream.
_LISTS = re.compile(r"[a-z]+(?:-[a-z]+)*-src(?:-elem|-attr)?|form-action|frame-ancestors|base-uri")


class Tags(NamedTuple):
    """What goes into a page: in front of all scripts, and before the first module."""

    script: bytes
    modules: bytes


_Directive = list[str]


def tags_for(headers: HeaderList, runtime: Runtime) -> Tags | None:
    """The tags for a page with these headers, or ``None`` if it may run no scripts."""
    policies = [
        policy
        for name, value in headers
        if name.lower() == _POLICIES[0]
        for policy in map(_directives, value.split(","))
    ]
    if any(_forbids_scripts(policy) for policy in policies):
        return None
    nonces = [nonce for policy in policies for nonce in _NONCE.findall(" ".join(_sources(policy)))]
    restricted = any(_script_directive(policy) is not None for policy in policies)
    return Tags(
        runtime.script_tag(nonces[0] if nonces else "", with_hash=restricted and not nonces),
        runtime.modules_tag(nonces[0] if nonces else ""),
    )


def edit_policies(
    urls: PageUrls, headers: HeaderList, runtime: Runtime, has_tags: bool
) -> HeaderList:
    """The headers with their policies adapted.

    :param has_tags: whether the page gets the tags of :func:`tags_for`.
    """
    enforced = " ".join(value for name, value in headers if name.lower() == _POLICIES[0])
    nonce = _NONCE.search(enforced)
    edited = []
    for name, value in headers:
        if name.lower() in _POLICIES:
            policies = [_directives(policy) for policy in value.split(",")]
            for policy in policies:
                _map(urls, policy)
                if has_tags:
                    _allow(policy, runtime, nonce[0] if nonce else "")
            value = ", ".join("; ".join(map(" ".join, policy)) for policy in policies if policy)
        edited.append((name, value))
    return edited


def _directives(policy: str) -> list[_Directive]:
    return [directive.split() for directive in policy.split(";") if directive.strip()]


def _script_directive(policy: list[_Directive]) -> _Directive | None:
    """The directive that governs ``<script>`` elements (CSP 3, 6.8.3), if one does."""
    for wanted in ("script-src-elem", "script-src", "default-src"):
        for directive in policy:
            if directive[0].lower() == wanted:
                return directive
    return None


def _sources(policy: list[_Directive]) -> list[str]:
    directive = _script_directive(policy)
    return directive[1:] if directive else []


def _forbids_scripts(policy: list[_Directive]) -> bool:
    for directive in policy:
        if directive[0].lower() == "sandbox" and "allow-scripts" not in map(str.lower, directive):
            return True
    if _script_directive(policy) is None:
        return False
    sources = [source.lower() for source in _sources(policy)]
    return not sources or sources == ["'none'"]


def _allow(policy: list[_Directive], runtime: Runtime, nonce: str) -> None:
    """Let our script and our import map in, if this policy does not yet."""
    directive = _script_directive(policy)
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


def _map(urls: PageUrls, policy: list[_Directive]) -> None:
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
