"""What is themed, what is not, and what the headers say of it."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
from webob import Request

from tests.theming.conftest import PAGE, RULES, THEME, Application, ask, zstd
from wsgiproxy.theming import ThemeMiddleware
from wsgiproxy.theming.etags import http_date, timestamp

THEMED = '<body class="themed"><div id="content">hello</div></body>'


def is_themed(response: Any) -> bool:
    return "themed" in response.text


def test_page_is_themed_and_its_length_is_right(application: Application) -> None:
    application.headers += [
        ("Content-Length", str(len(PAGE))),
        ("Content-MD5", "x"),
        ("Digest", "sha-256=x"),
        ("Repr-Digest", "sha-256=:x:"),
        ("Accept-Ranges", "bytes"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    response = ask(application)
    assert THEMED in response.text
    assert response.headers["Content-Length"] == str(len(response.body))
    assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert not {"Content-MD5", "Digest", "Repr-Digest", "Accept-Ranges"} & set(response.headers)
    assert application.closed == 1


@pytest.mark.parametrize(
    ("status", "options", "themed"),
    [
        ("200 OK", {}, True),
        ("201 Created", {}, True),
        ("206 Partial Content", {}, False),
        ("301 Moved Permanently", {}, False),
        ("401 Unauthorized", {}, False),
        ("401 Unauthorized", {"theme_401": True}, True),
        ("404 Not Found", {}, True),
        ("404 Not Found", {"theme_errors": False}, False),
        ("500 Oops", {}, True),
    ],
)
def test_status_decides(
    status: str, options: dict[str, Any], themed: bool, application: Application
) -> None:
    application.status = status
    response = ask(application, **options)
    assert (response.status, is_themed(response)) == (status, themed)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_body_passes(status: str, application: Application) -> None:
    application.status, application.headers, application.body = status, [], []
    response = ask(application)
    assert (response.status, response.body, list(response.headers)) == (status, b"", [])


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Type", "application/json"),
        ("Content-Type", "text/event-stream"),
        ("Content-Type", "text/htmlx"),
        ("Content-Encoding", "zstd"),
        ("Content-Encoding", "gzip, gzip, gzip, gzip"),
        ("Content-Range", "bytes 0-1/2"),
        ("Content-Disposition", 'attachment; filename="x.html"'),
        ("Cache-Control", "private, No-Transform"),
        ("X-Accel-Buffering", "no"),
        ("X-Diazo-Off", "true"),
    ],
    ids=lambda header: ": ".join(header),
)
def test_response_header_keeps_a_page_as_it_is(
    header: tuple[str, str], application: Application
) -> None:
    application.headers = [h for h in application.headers if h[0] != header[0]] + [header]
    assert ask(application).body == PAGE.encode()


@pytest.mark.parametrize("value", ["false", "banana", "", "0"])
def test_off_header_that_says_no_themes(value: str, application: Application) -> None:
    application.headers.append(("X-Diazo-Off", value))
    assert is_themed(ask(application))


@pytest.mark.parametrize(
    ("value", "options", "themed"),
    [
        ("true", {}, True),
        ("banana", {}, True),
        ("true", {"client_off": True}, False),
        ("banana", {"client_off": True}, True),
    ],
)
def test_clients_off_header_counts_if_allowed(
    value: str, options: dict[str, Any], themed: bool, application: Application
) -> None:
    response = ask(application, headers={"X-Diazo-Off": value}, **options)
    assert is_themed(response) is themed
    assert ("X-Diazo-Off" in response.headers["Vary"]) is bool(options)


@pytest.mark.parametrize(
    ("headers", "themed"),
    [
        ({"X-Requested-With": "XMLHttpRequest"}, False),
        ({"Sec-Fetch-Dest": "document"}, True),
        ({"Sec-Fetch-Dest": "iframe"}, True),
        ({"Sec-Fetch-Dest": "empty"}, False),
        ({"Sec-Fetch-Dest": "image"}, False),
        ({"Sec-Fetch-Dest": "empty", "Sec-Purpose": "prefetch"}, True),
        ({"HX-Request": "true"}, False),
        ({"HX-Request": "true", "HX-Boosted": "true", "Sec-Fetch-Dest": "empty"}, True),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, True),
        ({"Turbo-Frame": "x"}, False),
        ({"X-PJAX": "true"}, False),
        ({"X-Turbo-Request-Id": "1", "Sec-Fetch-Dest": "empty"}, True),
        ({}, True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_fragments_are_left_alone(
    headers: dict[str, str], themed: bool, application: Application
) -> None:
    response = ask(application, headers=headers)
    assert is_themed(response) is themed
    assert "X-Requested-With" in response.headers["Vary"]
    assert "Sec-Fetch-Dest" in response.headers["Vary"]


def test_fragments_are_themed_by_option(application: Application) -> None:
    response = ask(application, headers={"Sec-Fetch-Dest": "empty"}, theme_fragments=True)
    assert is_themed(response)
    assert "Sec-Fetch-Dest" not in response.headers["Vary"]


@pytest.mark.parametrize("path", ["/a.css", "/a.JS", "/x/y.png"])
def test_ignored_extension_is_the_applications_own_answer(
    path: str, application: Application
) -> None:
    response = ask(application, path)
    assert response.body == PAGE.encode()
    assert "Vary" not in response.headers


def test_ignored_extensions_option_replaces_the_list(application: Application) -> None:
    assert not is_themed(ask(application, "/a.page", ignored_extensions=".Page, other"))
    assert is_themed(ask(application, "/a.css", ignored_extensions="page, other"))


# -- content codings ----------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", lambda d: gzip.compress(d[:9]) + gzip.compress(d[9:]) + b"\0\0"),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("br", brotli.compress),
        ("gzip, br", lambda d: brotli.compress(gzip.compress(d))),
        ("zstd", zstd.compress),
        ("zstd", lambda d: zstd.compress(d[:9]) + zstd.compress(d[9:])),
        ("zstd, gzip", lambda d: gzip.compress(zstd.compress(d))),
        ("identity", lambda d: d),
    ],
    ids=["gzip", "x-gzip", "members", "deflate", "raw deflate", "br", "two codings", "zstd",
         "frames", "zstd in gzip", "identity"],
)  # fmt: skip
def test_coded_page_is_decoded_and_themed(coding: str, pack: Any, application: Application) -> None:
    application.headers.append(("Content-Encoding", coding))
    application.body = [pack(PAGE.encode())]
    response = ask(application)
    assert THEMED in response.text
    assert "Content-Encoding" not in response.headers


BOMB = gzip.compress(b"<p>" + bytes(3_000_000))


@pytest.mark.parametrize(
    ("coding", "body", "options"),
    [
        ("gzip", BOMB, {"max_size": "1M", "max_ratio": 100_000}),
        ("gzip", BOMB, {"max_ratio": 10}),
        ("gzip, gzip", gzip.compress(BOMB), {}),
        ("br", brotli.compress(bytes(9_000_000)), {}),
        ("zstd", zstd.compress(bytes(9_000_000)), {}),
        ("deflate", zlib.compress(bytes(9_000_000)), {}),
        ("gzip", b"no gzip", {}),
        ("br", b"\xff\xff no brotli", {}),
        ("gzip", gzip.compress(PAGE.encode())[:-12], {}),
        ("br", brotli.compress(PAGE.encode())[:-4], {}),
        ("zstd", b"no zstd", {}),
        ("zstd", b"", {}),
        ("zstd", zstd.compress(PAGE.encode())[:-4], {}),
        ("zstd", zstd.compress(PAGE.encode()) + b"more", {}),
    ],
    ids=["max_size", "max_ratio", "twice", "br", "zstd", "deflate", "no gzip", "no br",
         "cut gzip", "cut br", "no zstd", "empty zstd", "cut zstd", "more than zstd"],
)  # fmt: skip
def test_bomb_or_broken_coding_passes_as_it_came(
    coding: str, body: bytes, options: dict[str, Any], application: Application
) -> None:
    application.headers.append(("Content-Encoding", coding))
    application.body = [body]
    response = ask(application, **options)
    assert response.body == body
    assert response.headers["Content-Encoding"] == coding


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ("gzip, deflate, br", "gzip, deflate, br"),
        ("gzip, deflate, br, zstd", "gzip, deflate, br, zstd"),
        ("x-gzip, dcb, zstd", "x-gzip, zstd"),
        ("dcz", "identity"),
        ("*", "identity"),
        ("gzip;q=0, br;q=0.5", "gzip;q=0, br;q=0.5"),
        (None, None),
    ],
)
def test_accept_encoding_offers_what_can_be_read(
    sent: str | None, asked: str | None, application: Application
) -> None:
    ask(application, headers={"Accept-Encoding": sent} if sent else {})
    assert application.asked[0].get("HTTP_ACCEPT_ENCODING") == asked


# -- conditional requests -------------------------------------------------------------

ETAG = '"v1"'
HTML = {"Accept": "text/html,*/*;q=0.8"}


def with_etag(application: Application, etag: str = ETAG) -> Application:
    application.headers.append(("ETag", etag))
    return application


def middleware_of(app: Any, **options: Any) -> ThemeMiddleware:
    return ThemeMiddleware(app, **{"rules": RULES, "theme": THEME, **options})


@pytest.mark.parametrize("etag", [ETAG, 'W/"v1"'])
def test_etag_is_mixed_with_the_theme_and_put_back(etag: str, application: Application) -> None:
    middleware = middleware_of(with_etag(application, etag))
    first = ask(application, middleware=middleware).headers["ETag"]
    assert first.startswith(etag[:-1] + "~t")
    ask(application, middleware=middleware, headers={"If-None-Match": first, **HTML})
    assert application.asked[1]["HTTP_IF_NONE_MATCH"] == etag


def test_applications_304_becomes_one_of_the_themed_page(application: Application) -> None:
    middleware = middleware_of(with_etag(application))
    etag = ask(application, middleware=middleware).headers["ETag"]
    application.status, application.headers = "304 Not Modified", [("ETag", ETAG)]
    application.body = []
    response = ask(application, middleware=middleware, headers={"If-None-Match": etag})
    assert (response.status_int, response.headers["ETag"]) == (304, etag)
    assert "X-Requested-With" in response.headers["Vary"]


def test_application_that_knows_no_conditions_still_gets_a_304_out(
    application: Application,
) -> None:
    middleware = middleware_of(with_etag(application))
    etag = ask(application, middleware=middleware).headers["ETag"]
    response = ask(application, middleware=middleware, headers={"If-None-Match": f'"z", {etag}'})
    assert (response.status_int, response.body, response.headers["ETag"]) == (304, b"", etag)
    assert application.closed == 2


def test_etag_of_another_theme_is_not_asked_for(application: Application) -> None:
    old = ask(with_etag(application)).headers["ETag"]
    other = middleware_of(application, theme="<html><body>new<p id=main></body></html>")
    response = ask(application, middleware=other, headers={"If-None-Match": old})
    assert "HTTP_IF_NONE_MATCH" not in application.asked[1]
    assert response.status_int == 200
    assert response.headers["ETag"] != old


def test_etag_of_an_unthemed_copy_brings_the_themed_page(application: Application) -> None:
    headers = {"If-None-Match": ETAG, **HTML}
    response = ask(with_etag(application), headers=headers)
    assert "HTTP_IF_NONE_MATCH" not in application.asked[0]
    assert is_themed(response)


def test_what_is_no_page_keeps_its_own_etag(application: Application) -> None:
    application.headers = [("Content-Type", "image/png")]
    response = ask(with_etag(application), headers={"If-None-Match": ETAG, "Accept": "image/*"})
    assert application.asked[0]["HTTP_IF_NONE_MATCH"] == ETAG
    assert response.headers["ETag"] == ETAG


def test_picture_visited_as_a_page_is_answered_304_here(application: Application) -> None:
    application.headers = [("Content-Type", "image/png")]
    response = ask(with_etag(application), headers={"If-None-Match": ETAG, **HTML})
    assert (response.status_int, response.headers["ETag"]) == (304, ETAG)


def test_page_under_notheme_is_answered_304_here(application: Application) -> None:
    given = RULES.replace("<replace", '<notheme if-path="/raw"/><replace')
    headers = {"If-None-Match": ETAG, **HTML}
    response = ask(with_etag(application), "/raw", rules=given, headers=headers)
    assert (response.status_int, response.headers["ETag"], response.body) == (304, ETAG, b"")
    assert ask(application, "/", rules=given, headers=headers).status_int == 200


def test_etag_differs_with_a_parameter_from_the_request(application: Application) -> None:
    middleware = middleware_of(with_etag(application), environ_param_map={"HTTP_X_SKIN": "skin"})
    one, two = (ask(application, middleware=middleware, headers={"X-Skin": skin}) for skin in "ab")
    assert one.headers["ETag"] != two.headers["ETag"]
    assert "X-Skin" in one.headers["Vary"]


def test_if_match_is_put_back(application: Application) -> None:
    middleware = middleware_of(with_etag(application))
    etag = ask(application, middleware=middleware).headers["ETag"]
    ask(application, middleware=middleware, method="PUT", headers={"If-Match": etag})
    assert application.asked[1]["HTTP_IF_MATCH"] == ETAG


def test_if_none_match_star_of_a_put_stays(application: Application) -> None:
    ask(application, method="PUT", headers={"If-None-Match": "*", **HTML})
    assert application.asked[0]["HTTP_IF_NONE_MATCH"] == "*"


OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


def test_last_modified_is_the_later_of_page_and_theme(application: Application) -> None:
    application.headers.append(("Last-Modified", OLD))
    middleware = middleware_of(application)
    date = ask(application, middleware=middleware).headers["Last-Modified"]
    assert timestamp(date) > timestamp(OLD)  # type: ignore[operator]
    again = ask(application, middleware=middleware, headers={"If-Modified-Since": date})
    assert again.status_int == 304
    application.headers[-1] = ("Last-Modified", NEW)
    assert ask(application, middleware=middleware).headers["Last-Modified"] == NEW


def test_date_before_the_theme_is_not_asked_for(application: Application) -> None:
    application.headers.append(("Last-Modified", OLD))
    response = ask(application, headers={"If-Modified-Since": OLD, **HTML})
    assert "HTTP_IF_MODIFIED_SINCE" not in application.asked[0]
    assert is_themed(response)


def test_themes_made_per_request_have_no_date(application: Application) -> None:
    application.headers.append(("Last-Modified", OLD))
    response = ask(application, theme=lambda request: "<html><body class=themed></html>")
    assert "Last-Modified" not in response.headers
    assert "Cookie" in response.headers["Vary"]


def test_remove_conditional_headers_leaves_none(application: Application) -> None:
    with_etag(application).headers.append(("Last-Modified", OLD))
    headers = {"If-None-Match": ETAG, "If-Modified-Since": http_date(4e9), **HTML}
    response = ask(application, headers=headers, remove_conditional_headers=True)
    assert not {"ETag", "Last-Modified"} & set(response.headers)
    assert not {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"} & set(application.asked[0])


@pytest.mark.parametrize("etag", ["v1", '"a" "b"', '"\u00e9 "', ""])
def test_invalid_etag_is_dropped(etag: str, application: Application) -> None:
    assert "ETag" not in ask(with_etag(application, etag)).headers


def test_range_is_not_asked_for_a_page(application: Application) -> None:
    ask(application, headers={"Range": "bytes=0-9", "If-Range": ETAG, **HTML})
    assert not {"HTTP_RANGE", "HTTP_IF_RANGE"} & set(application.asked[0])
    ask(application, headers={"Range": "bytes=0-9", "Accept": "*/*"})
    assert application.asked[1]["HTTP_RANGE"] == "bytes=0-9"


def test_head_says_what_get_would_but_the_length(application: Application) -> None:
    with_etag(application).headers.append(("Content-Length", str(len(PAGE))))
    middleware = middleware_of(application)
    get = ask(application, middleware=middleware)
    head = ask(application, middleware=middleware, method="HEAD")
    assert head.body == b""
    assert "Content-Length" not in head.headers
    wanted = dict(get.headers)
    del wanted["Content-Length"]
    assert dict(head.headers) == wanted


def test_environ_stays_as_it_was(application: Application) -> None:
    seen: dict[str, Any] = {}

    def spy(environ: dict[str, Any], start_response: Any) -> Any:
        before = dict(environ)
        answer = middleware_of(application)(environ, start_response)
        seen["same"] = before == environ
        return answer

    Request.blank("/", headers={"If-None-Match": ETAG, **HTML}).send(spy)
    assert seen["same"]


def test_upgrade_goes_by_untouched(application: Application) -> None:
    request = Request.blank("/", headers={"Upgrade": "websocket", "Accept-Encoding": "zstd"})
    assert request.send(middleware_of(application)).body == PAGE.encode()
    assert application.asked[0]["HTTP_ACCEPT_ENCODING"] == "zstd"


def test_no_rules_means_no_theme(application: Application) -> None:
    assert ask(application, rules=None).body == PAGE.encode()
