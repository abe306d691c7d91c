"""``Route``: one prefix's settings, checked when they are made."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigurationError
from ..settings import kinds
from ..settings.options import Kind, lazy, option
from ..upstream import Upstream, UpstreamOptions

__all__ = ["Route"]


def _host_option(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._~\[\]:-]+", value):
        return value
    raise ValueError(f"{value!r} is no host; write upstream, client, or a name such as a.example")


class Route(UpstreamOptions):
    """One prefix's settings.

    :param upstream: a URL, several URLs of servers that answer alike, or an
        :class:`~wsgiproxy.Upstream`.
    :raises ConfigurationError: for a URL or an option that cannot work.

    Every other option is keyword-only; those of :class:`~wsgiproxy.Upstream` are taken
    here as well.
    """

    strip_prefix: bool = option(
        True, kinds.BOOLEAN, "take the prefix off the path before sending it upstream"
    )
    add_slash: bool = option(
        True, kinds.BOOLEAN, "redirect the bare prefix to the prefix with a slash"
    )
    host_match: str | None = option(
        None, kinds.TEXT, "take requests for this Host only, such as jupyter.example.org"
    )
    host: str = option(
        "upstream",
        Kind("upstream, client or a name", _host_option),
        "the Host the upstream sees: its own (upstream), the one asked for (client), or a name",
    )
    forwarded: str = option(
        "x-forwarded",
        kinds.choice("x-forwarded", "rfc7239", "both", "none"),
        "tell the upstream of the client: X-Forwarded-* headers, Forwarded, both or none",
    )
    trusted_proxies: tuple[Any, ...] = option(
        (), kinds.NETWORKS, "addresses whose X-Forwarded-* and Forwarded headers are believed"
    )
    request_headers: tuple[tuple[str, str | None], ...] = option(
        (), kinds.HEADER_CHANGES, "set these headers of the request; an empty value removes one"
    )
    response_headers: tuple[tuple[str, str | None], ...] = option(
        (), kinds.HEADER_CHANGES, "set these headers of the response; an empty value removes one"
    )
    pass_headers: tuple[str, ...] = option(
        (),
        kinds.FIELD_NAMES,
        "let these response headers through that reach beyond a prefix: Strict-Transport-Security",
    )
    hide_cookies: tuple[str, ...] = option(
        (),
        kinds.NAMES,
        "cookies of the wrapped application, which the upstream neither sees nor sets",
    )
    max_body: int | None = option(None, kinds.SIZE, "refuse request bodies over this size with 413")
    upgrade: tuple[str, ...] = option(
        ("websocket",), kinds.NAMES, "protocols that a client may switch its connection to"
    )
    stream_types: tuple[str, ...] = option(
        ("text/event-stream",),
        kinds.NAMES,
        "content types of responses that go on and on and should hold no worker thread",
    )
    relay_over: int | None = option(
        1 << 20, kinds.SIZE, "bodies over this size should hold no worker thread either"
    )
    idle_timeout: float | None = option(
        3600.0, kinds.SECONDS, "end tunnels and streams that are silent for this long"
    )
    write_timeout: float | None = option(
        60.0,
        kinds.SECONDS,
        "end a tunnel or stream whose client takes none of the waiting bytes for this long",
    )
    max_tunnels: int | None = option(
        None,
        kinds.COUNT,
        "at most this many tunnels and streams at once; a quarter of the descriptors by default",
    )
    max_in_flight: int | None = option(
        None,
        kinds.COUNT,
        "send at most this many requests upstream at a time; no limit by default",
    )
    rebase: bool = option(
        False,
        kinds.BOOLEAN,
        "lead the links of a service that believes it lives at / under the prefix",
    )
    remote_user: Any = option(
        None,
        Kind("true, environ key or module:name", lazy("settings.access_kinds", "read_resolver")),
        "tell the upstream the user: true (REMOTE_USER), an environ key, or a callable(environ)",
    )
    remote_user_header: str = option(
        "Remote-User",
        Kind("header name", lazy("settings.access_kinds", "read_field_name")),
        "the header that names the user: X-Remote-User, REMOTE_USER",
    )
    identity_headers: tuple[tuple[str, Any], ...] = option(
        (),
        Kind("header: environ key or module:name", lazy("settings.access_kinds", "read_resolvers")),
        "more about the user: headers, each with an environ key or a callable",
    )
    auth: Any = option(
        None,
        Kind("true, path or module:name", lazy("settings.access_kinds", "read_auth")),
        "ask who may pass: a path of the wrapped application, true (the same path), a callable",
    )
    copy_headers: tuple[str, ...] = option(
        (),
        Kind("header names", lazy("settings.access_kinds", "read_field_names")),
        "headers that auth's answer sets for the upstream; never the client",
    )
    auth_cache: float | None = option(
        None, kinds.SECONDS, "remember for so long that auth let a cookie pass, for every URL"
    )
    redirects: tuple[Any, ...] = option(
        (),
        Kind("pattern -> URL", lazy("protocol.url_rules", "read_redirects")),
        "patterns on the encoded path and query, and where they redirect to",
    )
    rewrites: tuple[Any, ...] = option(
        (),
        Kind("pattern -> path", lazy("protocol.url_rules", "read_rewrites")),
        "patterns on what follows the prefix, and what to ask the upstream for",
    )
    modify_request: Any = option(
        None, kinds.HOOK, "called with the request; may change it, or return a response"
    )
    modify_response: Any = option(
        None, kinds.HOOK, "called with the response and the request; may change the response"
    )
    on_error: Any = option(
        None, kinds.HOOK, "called with the error and the request; may return a response"
    )

    upstream: Upstream

    aliases = {"rewrite": "modify_request"}  # noqa: RUF012 - the base says that it is a ClassVar

    @classmethod
    def positional(cls) -> list[Any]:
        """See :meth:`~wsgiproxy.settings.options.Options.positional`."""
        from inspect import Parameter

        return [Parameter("upstream", Parameter.POSITIONAL_OR_KEYWORD)]

    def __init__(self, upstream: Any, **options: Any) -> None:
        super().__init__(**options)
        self.__dict__["upstream"] = self._made(upstream)

    @property
    def tells_identity(self) -> bool:
        """Whether any option says something of who the user is."""
        names = ("remote_user", "identity_headers", "auth", "copy_headers", "auth_cache")
        is_renamed = self.remote_user_header != self.table()["remote_user_header"].default
        return is_renamed or any(getattr(self, name) for name in names)

    def _made(self, upstream: Any) -> Upstream:
        names = UpstreamOptions.table()
        given = {name: getattr(self, name) for name in names}
        if not isinstance(upstream, Upstream):
            if not upstream:
                raise ConfigurationError("a route needs an upstream; write http://localhost:9999")
            return Upstream(upstream, **given)
        for name, row in names.items():
            if given[name] != row.default:
                raise ConfigurationError(f"option {name}: give it to Upstream(...), not to Route")
        return upstream

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.rebase and not self.strip_prefix:
            raise ConfigurationError(
                "option rebase: a service that is sent its prefix (strip_prefix = false) needs "
                "no rebasing; drop one of the two"
            )
