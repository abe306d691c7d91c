"""Rules on URLs, value by value: where they lead and what they refuse."""

from __future__ import annotations

import re

import pytest

from wsgiproxy.errors import BadRequest
from wsgiproxy.protocol.url_rules import (
    Rule,
    read_redirects,
    read_rewrites,
    redirect_of,
    rewritten,
)


@pytest.mark.parametrize(
    ("to", "location"),
    [
        (r"/x/\1", "/x/a?b"),
        (r"/x//\1", "/x//a?b"),
        (r"http://other/\1", "http://other/a?b"),
        (r"HTTPS://Other/\1", "HTTPS://Other/a?b"),
        ("https://other", "https://other"),
        (r"https://other?to=\1", "https://other?to=a?b"),
        (r"https://other#\1", "https://other#a?b"),
        (r"/\g<0>", "/p/a?b"),
    ],
)
def test_redirect_leads_where_its_rule_says(to: str, location: str) -> None:
    assert redirect_of(read_redirects([("^/p/(.*)$", to)]), "/p/a?b") == location


def test_url_that_no_rule_matches_has_no_redirect() -> None:
    rules = read_redirects([("^/p/", "/x")])

    assert redirect_of(rules, "/q/p/") is None
    assert redirect_of((), "/p/") is None


@pytest.mark.parametrize("bad", [" ", "\x00", "\t", "\x1f", "\x7f", "\u0100"])
def test_redirect_to_what_is_no_url_is_refused(bad: str) -> None:
    with pytest.raises(BadRequest):
        redirect_of([Rule(re.compile("(?s)/p/(.*)"), r"/x/\1")], f"/p/a{bad}b")


@pytest.mark.parametrize(
    "to", ["named", "//other/x", r"ftp://other/\1", r"http://\1/", r"https://a\1"]
)
def test_redirect_of_no_known_place_is_refused_at_start(to: str) -> None:
    with pytest.raises(ValueError, match="write"):
        read_redirects([("^/p/(.*)$", to)])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/old/x", "/new/x"),
        ("/old/x?q=/../y", "/new/x?q=/../y"),
        ("/old/x?q=%2e%2e", "/new/x?q=%2e%2e"),
        ("/old/..x/x..", "/new/..x/x.."),
        ("/older", "/older"),
    ],
)
def test_target_is_rewritten(target: str, expected: str) -> None:
    assert rewritten(read_rewrites([("^/old/", "/new/")]), target) == expected


@pytest.mark.parametrize(
    "rest",
    [
        "a b",
        "a#b",
        "a\x00",
        "a\x7f",
        "a\xe9",
        "..",
        "../x",
        "x/..",
        "%2E%2e/x",
        "x%2F..",
        "x%5c..",
        "x\\\\..",
    ],
)
def test_target_that_is_no_path_of_the_upstream_is_refused(rest: str) -> None:
    with pytest.raises(BadRequest):
        rewritten(read_rewrites([("^/old/", "/new/")]), "/old/" + rest)


@pytest.mark.parametrize("to", ["x", "", "http://other/"])
def test_target_without_a_slash_is_refused(to: str) -> None:
    with pytest.raises(BadRequest):
        rewritten([Rule(re.compile("/old"), to)], "/old")
