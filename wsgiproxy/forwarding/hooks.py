"""The hooks of a route: called, and their responses passed on as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import webob

from ..errors import ExchangeError, HookFailed
from ..protocol.fields import HeaderList

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["answer_with", "call_hook", "modify", "sendable_body"]

logger = logging.getLogger("wsgiproxy")


def call_hook(name: str, hook: Callable[..., Any], *arguments: Any) -> Any:
    """What a hook returns.

    :param name: of the option that it is, for the log.
    :raises HookFailed: for any exception of its own, whose traceback is logged.
    """
    try:
        return hook(*arguments)
    except ExchangeError:
        raise
    except Exception as error:
        logger.exception("the hook %s raised an exception", name)
        raise HookFailed(f"the hook {name} raised {error!r}") from error


def answer_with(
    response: webob.Response, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """A hook's response as it is: WebOb's own call would change ``Location``."""
    start_response(response.status, response.headerlist)
    return sendable_body(environ["REQUEST_METHOD"], response.status, response.app_iter)


def sendable_body(method: str, status: str, body: Iterable[bytes]) -> Iterable[bytes]:
    """The body that goes to the client: closed and empty where it expects none.

    The answer to ``HEAD``, a 204 and a 304 end with their head (RFC 9112, 6.3): what a hook had
    sent after it would be taken for the start of the next response.

    :param method: the client's, which a hook may have changed for the upstream.
    """
    if method != "HEAD" and not status.startswith(("204", "304")):
        return body
    if hasattr(body, "close"):
        body.close()
    return []


def modify(
    hook: Callable[..., Any],
    request: webob.Request,
    status: str,
    headers: HeaderList,
    body: Iterable[bytes],
) -> tuple[str, HeaderList, Iterable[bytes]]:
    """What ``modify_response`` makes of a response; a body that it replaces is closed.

    :raises HookFailed: if it raises an exception.
    """
    response = webob.Response(status=status, headerlist=headers, app_iter=body)
    replaced = call_hook("modify_response", hook, response, request)
    response = response if replaced is None else replaced
    if response.app_iter is not body and hasattr(body, "close"):
        body.close()
    return response.status, response.headerlist, response.app_iter
