"""The response parser on bytes alone: what it takes, what it refuses, and that it never
depends on how the bytes were cut into pieces."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsgiproxy.errors import UpstreamBroken
from wsgiproxy.protocol.http1 import (
    MAX_HEAD,
    MAX_INTERIM,
    ChunkedReader,
    Head,
    HeadReader,
    body_reader,
    parse_head,
)

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def read_head(pieces: Iterable[bytes]) -> tuple[Any, bytes]:
    """What a HeadReader makes of these pieces: a head, None or "broken"; and the rest."""
    reader = HeadReader()
    head, following = None, b""
    try:
        for piece in pieces:
            if head is None:
                head = reader.feed(piece)
            else:
                following += piece
    except UpstreamBroken:
        return "broken", b""
    return head, reader.rest + following


def read_chunks(pieces: Iterable[bytes]) -> tuple[bytes, bool, bool, bool]:
    """Payload, done, clean, broken, after a chunked body came in these pieces."""
    body = ChunkedReader()
    payload = b""
    try:
        for piece in pieces:
            payload += body.feed(piece)
    except UpstreamBroken:
        return payload, False, False, True
    return payload, body.done, body.clean, False


def single_bytes(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


# -- heads -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "reason", "headers"),
    [
        pytest.param(b"HTTP/1.1 200 OK", 200, "OK", [], id="no-headers"),
        pytest.param(b"HTTP/1.1 200", 200, "", [], id="no-reason-no-space"),
        pytest.param(b"HTTP/1.1 200 ", 200, "", [], id="no-reason"),
        pytest.param(b"HTTP/1.0 299 So  so", 299, "So  so", [], id="own-reason"),
        pytest.param(b"HTTP/1.1 999 x", 999, "x", [], id="strange-code"),
        pytest.param(b"HTTP/1.1 200 \xe9t\xe9", 200, "été", [], id="latin-1-reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA:b", 200, "OK", [("A", "b")], id="no-space"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: \t b \t", 200, "OK", [("A", "b")], id="spaces"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA:", 200, "OK", [("A", "")], id="empty-value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA \t: b", 200, "OK", [("A", "b")], id="space-and-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b:c: d", 200, "OK", [("A", "b:c: d")], id="colons"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: \xff\xc3", 200, "OK", [("A", "ÿÃ")], id="8-bit"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: a\tb", 200, "OK", [("A", "a\tb")], id="tab-inside"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\na: 1\r\nA: 2\r\nb: 3\r\na: 4",
            200,
            "OK",
            [("a", "1"), ("A", "2"), ("b", "3"), ("a", "4")],
            id="repeats-and-order-and-case",
        ),
    ],
)
def test_valid_head_is_read_as_it_stands(
    raw: bytes, status: int, reason: str, headers: list[tuple[str, str]]
) -> None:
    head = parse_head(raw)

    assert (head.status, head.reason, head.headers) == (status, reason, headers)


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\r\n   "], ids=["space", "tab", "spaces"])
def test_folded_header_line_becomes_one_line(fold: bytes) -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\nA: one" + fold + b"two\r\nB: c")

    assert [name for name, _ in head.headers] == ["A", "B"]
    assert head.headers[0][1].split() == ["one", "two"]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="http-0.9"),
        pytest.param(b"HTTP/2 200 OK", id="http-2"),
        pytest.param(b"HTTP/0.9 200 OK", id="version-0.9"),
        pytest.param(b"HTTP/1.11 200 OK", id="long-version"),
        pytest.param(b"http/1.1 200 OK", id="lower-case"),
        pytest.param(b"HTTP/1.1  200 OK", id="two-spaces"),
        pytest.param(b"HTTP/1.1\t200 OK", id="tab"),
        pytest.param(b" HTTP/1.1 200 OK", id="leading-space"),
        pytest.param(b"HTTP/1.1 20 OK", id="two-digits"),
        pytest.param(b"HTTP/1.1 2000 OK", id="four-digits"),
        pytest.param(b"HTTP/1.1 099 OK", id="below-100"),
        pytest.param(b"HTTP/1.1 2_0 OK", id="underscore"),
        pytest.param(b"HTTP/1.1 -20 OK", id="negative"),
        pytest.param("HTTP/1.1 ٢٠٠ OK".encode(), id="unicode-digits"),
        pytest.param(b"HTTP/1.1 \xb2\xb2\xb2 OK", id="latin-1-digits"),
        pytest.param(b"HTTP/1.1 200 O\rK", id="reason-with-cr"),
        pytest.param(b"HTTP/1.1 200 O\nK", id="reason-with-lf"),
        pytest.param(b"HTTP/1.1 200 O\x00K", id="reason-with-nul"),
        pytest.param(b"HTTP/1.1 200 OK\n A: b", id="bare-lf-in-status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon", id="no-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: v", id="no-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\n A: b", id="fold-first"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA b: c", id="space-in-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\xc3\xa9: b", id="8-bit-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA(): b", id="separator-in-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\nC: d", id="bare-lf"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\rC: d", id="bare-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\r\nC: d", id="two-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x00", id="nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x7f", id="delete"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\r\nC: d", id="lf-crlf"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x0bc", id="vertical-tab"),
    ],
)
def test_invalid_head_is_refused(raw: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        parse_head(raw)


@pytest.mark.parametrize("count", [150, 1000], ids=str)
def test_many_headers_are_all_kept(count: int) -> None:
    lines = b"".join(b"\r\nX-%d: %d" % (number, number) for number in range(count))

    assert len(parse_head(b"HTTP/1.1 200 OK" + lines).headers) == count


def test_head_over_the_limit_is_refused_before_it_ends() -> None:
    assert read_head([b"X" * (MAX_HEAD // 2)])[0] is None
    assert read_head([b"X" * 1000] * (MAX_HEAD // 1000 + 2))[0] == "broken"


def test_interim_responses_are_skipped_up_to_a_limit() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"

    head, rest = read_head([b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 10 + final])
    assert isinstance(head, Head)
    assert (head.status, rest) == (200, b"body")
    assert read_head([hints * 1000 + final])[0] == "broken"


@pytest.mark.parametrize(("over", "expected"), [(0, 200), (1, "broken")])
def test_longest_head_is_taken_and_no_longer_one(over: int, expected: object) -> None:
    start = b"HTTP/1.1 200 OK\r\nA: "
    head, _ = read_head([start + b"x" * (MAX_HEAD - len(start) + over) + b"\r\n\r\n"])

    assert getattr(head, "status", head) == expected


@pytest.mark.parametrize(("count", "expected"), [(MAX_INTERIM, 200), (MAX_INTERIM + 1, "broken")])
def test_so_many_interim_responses_are_set_aside(count: int, expected: object) -> None:
    reader = HeadReader()
    head: object = None
    try:
        for _ in range(count):
            assert reader.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") is None
        head = reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    except UpstreamBroken:
        head = "broken"

    assert getattr(head, "status", head) == expected
    assert {interim.status for interim in reader.interim} == {103}
    assert len(reader.interim) == count


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest",
        b"HTTP/1.1 200 OK\nA: b\n\nrest",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nrest",
        b"HTTP/1.1 103 Hints\r\nLink: </a-long-one>\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nrest",
    ],
    ids=["crlf", "lf", "interim", "long-interim"],
)
def test_head_in_two_pieces_reads_like_the_whole(raw: bytes) -> None:
    """Wherever it is cut."""
    for place in range(len(raw) + 1):
        head, rest = read_head([raw[:place], raw[place:]])

        assert isinstance(head, Head), place
        assert (head.status, head.headers, rest) == (200, [("A", "b")], b"rest"), place


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\n\n",
        b"HTTP/1.1 200 OK\nA: b\n\r\n",
    ],
)
def test_line_ends_of_two_kinds_are_refused(raw: bytes) -> None:
    assert read_head([raw])[0] == "broken"


def test_switching_protocols_is_no_interim_response() -> None:
    head, rest = read_head([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nraw"])

    assert isinstance(head, Head)
    assert (head.status, rest) == (101, b"raw")


@pytest.mark.parametrize(
    "filler",
    [b" ", b"\t", b"a", b"a ", b":", b"\r\n ", b";", b","],
    ids=["spaces", "tabs", "letters", "words", "colons", "folds", "semicolons", "commas"],
)
@pytest.mark.parametrize("end", [b"", b"\x01", b"\n", b"\r"], ids=["ok", "ctl", "lf", "cr"])
def test_head_of_one_long_line_takes_time_in_proportion(filler: bytes, end: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nX:" + filler * ((MAX_HEAD - 64) // len(filler)) + end
    start = time.process_time()
    with contextlib.suppress(UpstreamBroken):
        parse_head(head)

    # CPU time, not wall time: milliseconds, where a quadratic pattern takes 26 seconds.
    assert time.process_time() - start < 1.0


HEAD_PIECES = [
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.1 200 OK\r\n", b"200", b"100", b"103", b"101", b"204"),
    *(b" OK", b" ", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\t", b"\x00", b":", b"A", b"A: b"),
    *(b"Content-Length: 3", b"Transfer-Encoding: chunked", b"\xff", b"x" * 70, b",", b";", b"3"),
]
HEAD_BYTES = st.lists(st.sampled_from(HEAD_PIECES), max_size=24).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(HEAD_BYTES | st.binary(max_size=200))
@example(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nx")
@example(b"HTTP/1.1 200 OK\r\nA: b\r\n\r")
def test_head_in_single_bytes_reads_like_the_whole(data: bytes) -> None:
    whole, rest = read_head([data])

    assert read_head(single_bytes(data)) == (whole, rest)
    if isinstance(whole, Head):
        assert 100 <= whole.status <= 999
        assert all(TOKEN.fullmatch(name) for name, _ in whole.headers)
        assert not any(re.search(r"[\r\n\x00]", value) for _, value in whole.headers)


@settings(max_examples=300, deadline=None)
@given(HEAD_BYTES, st.sampled_from(["GET", "HEAD", "POST"]))
def test_framing_of_any_head_is_known_or_refused(data: bytes, method: str) -> None:
    head, _ = read_head([b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"])
    if not isinstance(head, Head):
        return
    try:
        body, alive = body_reader(head, method)
    except UpstreamBroken:
        return
    assert isinstance(alive, bool)
    assert body.done in (True, False)


# -- framing -----------------------------------------------------------------------


def framing(raw: bytes, method: str = "GET") -> tuple[str, bool]:
    body, alive = body_reader(parse_head(raw), method)
    return type(body).__name__ + ("" if body.remaining is None else str(body.remaining)), alive


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"Content-Length: 5", ("LengthReader5", True)),
        (b"Content-Length: 5\r\nContent-Length: 5", ("LengthReader5", True)),
        (b"Content-Length: 5, 5", ("LengthReader5", True)),
        (b"Content-Length: 5\r\nConnection: close", ("LengthReader5", False)),
        (b"Content-Length: 5\r\nConnection: foo, Close", ("LengthReader5", False)),
        (b"Transfer-Encoding: chunked", ("ChunkedReader", True)),
        (b"Transfer-Encoding: Chunked", ("ChunkedReader", True)),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", ("ChunkedReader", False)),
        (b"Transfer-Encoding: chunked\r\nConnection: close", ("ChunkedReader", False)),
        (b"Transfer-Encoding: identity,\tchunked ", ("ChunkedReader", True)),
        (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", ("ChunkedReader", True)),
        (b"Content-Length: 5\t, 5", ("LengthReader5", True)),
        (b"Content-Length: 5\r\nConnection: foo\r\nConnection: close", ("LengthReader5", False)),
        (b"Content-Length: 5\r\nConnection: keep-alive", ("LengthReader5", True)),
        (b"Content-Length: 5\r\nConnection: foo", ("LengthReader5", True)),
        (b"Content-Length: 999999999999999999", ("LengthReader999999999999999999", True)),
        (b"X: y", ("OpenReader", False)),
        (b"Connection: x,\tclose\r\nContent-Length: 5", ("LengthReader5", False)),
        (b"Transfer-Encoding: identity", ("OpenReader", False)),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5", ("LengthReader5", True)),
        (b"Transfer-Encoding: identity, chunked", ("ChunkedReader", True)),
    ],
    ids=lambda value: value.decode().replace("\r\n", " + ") if isinstance(value, bytes) else "",
)
def test_body_is_framed_as_the_head_says(headers: bytes, expected: tuple[str, bool]) -> None:
    assert framing(b"HTTP/1.1 200 OK\r\n" + headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5, 6",
        b"Content-Length: -5",
        b"Content-Length: +5",
        b"Content-Length: 0x5",
        b"Content-Length: 5_0",
        b"Content-Length: 5 0",
        b"Content-Length:",
        b"Content-Length: 5,",
        b"Content-Length: \xb2",
        b"Content-Length: 1000000000000000000",
        b"Content-Length: 9999999999999999999999999",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding:",
    ],
    ids=lambda value: value.decode("latin-1").replace("\r\n", " + "),
)
def test_ambiguous_framing_is_refused(headers: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        framing(b"HTTP/1.1 200 OK\r\n" + headers)


@pytest.mark.parametrize(
    ("raw", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "HEAD"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked", "GET"),
    ],
    ids=["head-length", "head-chunked", "204", "304-length", "304-chunked"],
)
def test_response_that_has_no_body_is_at_its_end(raw: bytes, method: str) -> None:
    body, alive = body_reader(parse_head(raw), method)

    assert body.done
    assert alive


@pytest.mark.parametrize("come", [0, 1, 4])
def test_body_of_a_known_length_may_not_end_early(come: int) -> None:
    body, _ = body_reader(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5"), "GET")
    body.feed(b"x" * come)

    with pytest.raises(UpstreamBroken):
        body.eof()


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"bc"], [b"ab", b"", b"c"]])
def test_whole_body_of_a_known_length_leaves_the_connection_clean(pieces: list[bytes]) -> None:
    body, alive = body_reader(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 3"), "GET")
    seen = [(body.done, body.remaining)]
    for piece in pieces:
        assert body.feed(piece) == piece
        seen.append((body.done, body.remaining))
    body.eof()

    assert (alive, body.clean, body.trailers) == (True, True, [])
    assert seen[0] == (False, 3)
    assert seen[-1] == (True, 0)
    assert not any(done for done, left in seen if left)


def test_bytes_behind_a_known_length_mark_the_connection() -> None:
    body, _ = body_reader(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5"), "GET")

    assert body.feed(b"helloEVIL") == b"hello"
    assert body.done
    assert not body.clean


def test_body_without_any_length_ends_with_the_connection() -> None:
    body, alive = body_reader(parse_head(b"HTTP/1.1 200 OK"), "GET")

    assert body.feed(b"hello") == b"hello"
    assert not alive
    assert not body.done
    body.eof()
    assert body.done


# -- chunks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        pytest.param(b"0\r\n\r\n", b"", id="empty"),
        pytest.param(b"3\r\nabc\r\n0\r\n\r\n", b"abc", id="one"),
        pytest.param(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", id="two"),
        pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="upper-hex"),
        pytest.param(b"003\r\nabc\r\n000\r\n\r\n", b"abc", id="leading-zeros"),
        pytest.param(b"3;a=b\r\nabc\r\n0;c\r\n\r\n", b"abc", id="extensions"),
        pytest.param(b'3 ; a="b"\r\nabc\r\n0\r\n\r\n', b"abc", id="extension-with-space"),
        pytest.param(b"3\r\nabc\r\n0\r\nX: y\r\nZ: w\r\n\r\n", b"abc", id="trailers"),
        pytest.param(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", id="line-ends-as-data"),
    ],
)
def test_valid_chunked_body_is_decoded(data: bytes, payload: bytes) -> None:
    assert read_chunks([data]) == (payload, True, True, False)
    assert read_chunks(single_bytes(data)) == (payload, True, True, False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\r\n", id="empty-size"),
        pytest.param(b"g\r\n", id="no-hex"),
        pytest.param(b"0x1\r\na\r\n", id="0x"),
        pytest.param(b"1_0\r\n", id="underscore"),
        pytest.param(b"-1\r\n", id="negative"),
        pytest.param(b"+1\r\na\r\n", id="plus"),
        pytest.param(b" 1\r\na\r\n", id="leading-space"),
        pytest.param(b"1;\nx\r\n", id="bare-lf-after-extension"),
        pytest.param(b"1;a=b\nx\r\n", id="bare-lf-in-extension"),
        pytest.param(b"1;a\rb\r\nx\r\n", id="bare-cr-in-extension"),
        pytest.param(b"1;\x00\r\nx\r\n", id="nul-in-extension"),
        pytest.param(b"1\na\r\n", id="bare-lf-after-size"),
        pytest.param(b"1\r\nab\r\n", id="chunk-too-long"),
        pytest.param(b"2\r\na\r\n0\r\n\r\n", id="chunk-too-short"),
        pytest.param(b"1\r\na\n0\r\n\r\n", id="bare-lf-after-chunk"),
        pytest.param(b"1\r\na0\r\n\r\n", id="no-line-end-after-chunk"),
        pytest.param(b"0\r\nX: y\n\r\n", id="bare-lf-after-trailer"),
        pytest.param(b"F" * 17 + b"\r\n", id="17-digits"),
        pytest.param(b"0" * 70000, id="endless-size"),
        pytest.param(b"1;" + b"x" * 70000, id="endless-extension"),
        pytest.param(b"0\r\n" + b"X: y\r\n" * 20000, id="endless-trailers"),
    ],
)
def test_invalid_chunked_body_is_refused(data: bytes) -> None:
    assert read_chunks([data])[3]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"Content-Length: 5", ("LengthReader5", False)),
        (b"Content-Length: 5\r\nConnection: close", ("LengthReader5", False)),
        (b"Content-Length: 5\r\nConnection: foo", ("LengthReader5", False)),
        (b"Content-Length: 5\r\nConnection: Keep-Alive", ("LengthReader5", True)),
        (b"Content-Length: 5\r\nConnection: foo, keep-alive", ("LengthReader5", True)),
        (b"Transfer-Encoding: chunked\r\nConnection: keep-alive", ("ChunkedReader", False)),
    ],
)
def test_http_1_0_keeps_a_connection_if_told_but_not_behind_chunks(
    headers: bytes, expected: tuple[str, bool]
) -> None:
    assert framing(b"HTTP/1.0 200 OK\r\n" + headers) == expected


def test_body_behind_a_switch_of_protocols_is_none_of_ours() -> None:
    assert framing(b"HTTP/1.1 101 Switching")[0] == "LengthReader0"


def test_trailers_are_kept_in_their_order() -> None:
    body = ChunkedReader()
    for piece in single_bytes(b"1\r\nx\r\n0\r\nA: b\r\na:\tc \r\n\r\n"):
        body.feed(piece)

    assert body.done
    assert body.trailers == [("A", "b"), ("a", "c")]


@pytest.mark.parametrize("line", [b"no colon", b": v", b"A: b\x00", b" A: b"])
def test_trailer_that_is_no_field_is_refused(line: bytes) -> None:
    with pytest.raises(UpstreamBroken) as refused:
        ChunkedReader().feed(b"0\r\n" + line + b"\r\n\r\n")

    assert refused.value.stage == "body"


def test_bytes_behind_the_last_chunk_mark_the_connection() -> None:
    body = ChunkedReader()

    assert body.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 EVIL") == b"a"
    assert body.done
    assert not body.clean


CHUNK_PIECES = [
    *(b"0", b"1", b"3", b"a", b"F", b"g", b"-", b"\r\n", b"\r", b"\n", b" ", b"\t", b";", b"\x00"),
    *(b"abc", b"x=y", b"X: y\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b"1\r\na\r\n"),
]
CHUNK_BYTES = st.lists(st.sampled_from(CHUNK_PIECES), max_size=24).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(CHUNK_BYTES | st.binary(max_size=100))
def test_chunks_in_single_bytes_read_like_the_whole(data: bytes) -> None:
    payload, done, clean, broken = read_chunks([data])
    slow_payload, slow_done, slow_clean, slow_broken = read_chunks(single_bytes(data))

    assert (slow_done, slow_clean, slow_broken) == (done, clean, broken)
    if not broken:
        assert slow_payload == payload


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.data())
def test_any_body_survives_any_cutting(parts: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    assert read_chunks(pieces) == (b"".join(parts), True, True, False)
