"""Content Security Policy: mapped, and opened for our script only."""

from __future__ import annotations

import html

import pytest

from tests.rebase.feeding import URLS
from wsgiproxy.rebase.html import HtmlEditor
from wsgiproxy.rebase.policy import Policies
from wsgiproxy.rebase.runtime import Runtime

RUNTIME = Runtime(URLS)
FILE = f"site.example{RUNTIME.url}"


def _edited(policy: str, *, has_tags: bool = True) -> str:
    headers = [("Content-Security-Policy", policy)]
    return Policies(URLS, RUNTIME if has_tags else None, headers).edited(headers)[0][1]


ALLOWED = {
    "no-scripts-named": ("img-src 'self'", "img-src 'self'"),
    "self": ("script-src 'self'", f"script-src 'self' {RUNTIME.modules_hash}"),
    "self-and-inline": ("script-src 'self' 'unsafe-inline'",) * 2,
    "nonce": ("script-src 'nonce-abc' 'strict-dynamic'",) * 2,
    "hash-only": (
        "script-src 'sha256-AAAA'",
        f"script-src 'sha256-AAAA' {FILE} {RUNTIME.modules_hash}",
    ),
    "strict-dynamic-by-hash": (
        "script-src 'sha256-AAAA' 'strict-dynamic'",
        f"script-src 'sha256-AAAA' 'strict-dynamic' {RUNTIME.hash} {RUNTIME.modules_hash}",
    ),
    "default-only": (
        "default-src 'self'; img-src *",
        f"default-src 'self'; img-src *; script-src 'self' {RUNTIME.modules_hash}",
    ),
    "elements": (
        "script-src 'none'; script-src-elem https://cdn.example",
        f"script-src 'none'; script-src-elem https://cdn.example {FILE} {RUNTIME.modules_hash}",
    ),
}


@pytest.mark.parametrize(("policy", "expected"), ALLOWED.values(), ids=ALLOWED)
def test_policy_allows_our_script_and_nothing_more(policy: str, expected: str) -> None:
    assert _edited(policy) == expected


def test_policy_of_a_page_without_our_script_is_not_opened() -> None:
    policy = "script-src 'self'; object-src 'none'"

    assert _edited(policy, has_tags=False) == policy


MAPPED = {
    "report": ("report-uri /csp https://r.example/x", "report-uri /app/csp https://r.example/x"),
    "own-origin": ("img-src http://localhost:9999", "img-src site.example"),
    "own-host": ("img-src localhost:9999", "img-src site.example"),
    "own-path": ("img-src http://127.0.0.1:9999/img/", "img-src site.example/app/img/"),
    "told-our-host": ("img-src http://site.example/img/", "img-src site.example/app/img/"),
    "own-socket": ("connect-src ws://localhost:9999", "connect-src ws://site.example"),
    "foreign": ("img-src https://cdn.example/x data: 'self' *",) * 2,
}


@pytest.mark.parametrize(("policy", "expected"), MAPPED.values(), ids=MAPPED)
def test_policy_names_us_instead_of_the_upstream(policy: str, expected: str) -> None:
    assert _edited(policy) == expected


FORBIDDING = ["script-src 'none'", "default-src 'none'", "script-src", "sandbox allow-forms"]


@pytest.mark.parametrize("policy", FORBIDDING)
def test_page_that_may_run_no_scripts_gets_no_tags(policy: str) -> None:
    assert Policies(URLS, RUNTIME, [("Content-Security-Policy", policy)]).tags() is None


def test_tags_carry_the_nonce_of_the_page() -> None:
    headers = [("content-security-policy", "default-src 'self'; script-src 'nonce-a+/='")]
    tags = Policies(URLS, RUNTIME, headers).tags()

    assert tags is not None
    assert b' nonce="a+/="' in tags.script
    assert b' nonce="a+/="' in tags.modules


def test_script_tag_is_short_enough_for_the_charset_behind_it() -> None:
    tags = Policies(URLS, RUNTIME).tags()

    assert tags is not None
    assert len(tags.script) < 100


def test_report_only_policy_is_adapted_as_well() -> None:
    headers = [("Content-Security-Policy-Report-Only", "report-uri /csp")]

    edited = Policies(URLS, RUNTIME, headers).edited(headers)
    assert edited[0][1] == "report-uri /app/csp"


KNOWN = {
    "sheet": ("style-src 'sha256-A'", "style", "", False),
    "sheet-elements": ("style-src 'none'; style-src-elem 'sha384-A'", "style", "", False),
    "sheet-by-default": ("default-src 'sha512-A'", "style", "", False),
    "sheet-with-nonce": ("style-src 'sha256-A' 'nonce-n'", "style", "n", True),
    "sheet-with-wrong-nonce": ("style-src 'sha256-A' 'nonce-n'", "style", "m", False),
    "sheet-inline": ("style-src 'unsafe-inline'", "style", "", True),
    "script-only": ("script-src 'sha256-A'", "style", "", True),
    "attribute": ("style-src 'unsafe-hashes' 'sha256-A'", "style-attribute", "", False),
    "attribute-beside": ("style-src-elem 'sha256-A'", "style-attribute", "", True),
    "map": ("script-src 'sha256-A'", "import-map", "", False),
    "map-with-nonce": ("script-src 'sha256-A' 'nonce-n'", "import-map", "n", True),
    "one-of-two": ("style-src 'nonce-n', style-src 'sha256-A'", "style", "n", False),
}


@pytest.mark.parametrize(("policy", "kind", "nonce", "expected"), KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("where", ["", "-Report-Only"])
def test_text_that_a_policy_knows_by_its_hash_is_not_edited(
    policy: str, kind: str, nonce: str, expected: bool, where: str
) -> None:
    policies = Policies(URLS, RUNTIME, [("Content-Security-Policy" + where, policy)])

    assert policies.may_edit(kind, nonce) is expected


def test_policy_of_the_page_counts_from_where_it_stands() -> None:
    policies = Policies(URLS, RUNTIME)
    sheet = b"<style>url(/x)</style>"
    meta = b"<meta http-equiv=Content-Security-Policy content=\"style-src 'sha256-A'\">"
    editor = HtmlEditor(URLS, policies=policies)

    assert editor.feed(sheet + meta + sheet) == sheet.replace(b"/x", b"/app/x") + meta + sheet


METAS = {
    "origin": (b"img-src localhost:9999", b"img-src&#32;site.example"),
    "kept": (b"img-src 'self'", None),
    "forbidding": (b"script-src 'none'", None),
}


@pytest.mark.parametrize(("policy", "edited"), METAS.values(), ids=METAS)
@pytest.mark.parametrize("quote", [b"'", b'"'])
def test_policy_of_the_page_is_mapped_in_place(
    policy: bytes, edited: bytes | None, quote: bytes
) -> None:
    if quote == b"'":
        policy = policy.replace(b"'", b"&#39;")
    meta = b"<meta content=" + quote + policy + quote + b" http-equiv=content-security-policy>"
    editor = HtmlEditor(URLS, b"", b"[M]", policies=Policies(URLS, RUNTIME))
    is_open = b"none" not in policy

    made = editor.feed(meta + b"<script type=module>")
    assert made.startswith(meta if edited is None else meta.replace(policy, edited))
    assert (b"[M]" in made) is is_open


def test_policy_of_the_page_lets_our_import_map_in() -> None:
    meta = b"<meta http-equiv=content-security-policy content=\"script-src 'self'\">"
    edited = HtmlEditor(URLS, policies=Policies(URLS, RUNTIME)).feed(meta)

    assert RUNTIME.modules_hash in html.unescape(edited.decode())
