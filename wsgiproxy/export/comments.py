"""Comments in the exported files: whatever a value holds, they stay comments."""

from __future__ import annotations

from collections.abc import Iterable

from .plan import Abilities, Place
from .site import Site

__all__ = ["comment", "heading", "out_of_reach", "remarks"]


def comment(text: str) -> str:
    """A line that is a comment in every target.

    Caddy fills in ``{$NAME}`` and Traefik runs ``{{templates}}`` in comments too, before they
    read the file.
    """
    shown = "".join(c if c.isprintable() else "?" for c in text)
    while "{{" in shown or "{$" in shown or "}}" in shown:
        shown = shown.replace("{{", "{ {").replace("{$", "{ $").replace("}}", "} }")
    return f"# {shown}".rstrip()


def heading(site: Site, target: str, place: str) -> list[str]:
    """What stands first: where the file belongs and how this proxy is to be started.

    :param place: where the file belongs.
    """
    return [
        comment(f"Written by: python -m wsgiproxy export {target}"),
        comment(place),
        comment(f"It listens at {site.at}. What it does not take over is asked of wsgiproxy at"),
        comment(f"{site.to}, which has to believe what it says about clients:"),
        comment(f"    python -m wsgiproxy --listen {site.to} --trusted-proxies {_peer(site)} ..."),
    ]


def _peer(site: Site) -> str:
    """From which address this proxy is asked."""
    if site.to.host in ("localhost", "127.0.0.1"):
        return "127.0.0.1"
    return "::1" if site.to.host == "::1" else "ADDRESS-OF-THE-NEW-SERVER"


def out_of_reach(places: Iterable[Place], can: Abilities) -> Iterable[str]:
    """The comments about routes that no rule is written for, since no request can be theirs."""
    for place in places:
        if place.is_out_of_reach:
            yield from remarks(place, can)


def remarks(place: Place, can: Abilities) -> Iterable[str]:
    """The comments in front of a route."""
    yield comment(place.title)
    if place.kept:
        yield comment(f"stays with wsgiproxy: {can.name} has no counterpart for")
    for need, reason in place.kept:
        yield comment(f"  {need}: {reason}")
    for need, reason in place.notes:
        yield comment(f"{need} is not written: {reason}")
