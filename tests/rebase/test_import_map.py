"""Import maps: a page's own and ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rebase.feeding import URLS
from wsgiproxy.rebase.import_map import edit_import_map, import_map


def _resolved(imports: dict[str, str], specifier: str) -> str:
    """What an import map makes of a URL-like specifier: the longest rule that fits."""
    rules = sorted(imports, key=len, reverse=True)
    for rule in rules:
        if specifier == rule:
            return imports[rule]
        if rule.endswith("/") and specifier.startswith(rule):
            return imports[rule] + specifier[len(rule) :]
    return specifier


def test_import_map_of_ours_leads_modules_under_the_prefix() -> None:
    imports = json.loads(import_map(URLS))["imports"]

    assert _resolved(imports, "/x.js") == "/app/x.js"
    assert _resolved(imports, "/app/x.js") == "/app/x.js"
    assert _resolved(imports, "react") == "react"


IMPORT_MAPS = {
    "plain": b'{"imports": {"a": "/a.js", "b/": "./b/"}}',
    "empty": b"{}",
    "empty-imports": b'{"imports": {}}',
    "scopes-only": b'{"scopes": {"/x/": {"a": "/y"}}}',
    "integrity": b'{"imports": {"a": "/a.js"}, "integrity": {"/a.js": "sha384-x"}}',
    "own-rule-for-paths": b'{"imports": {"/lib/": "/v2/lib/"}}',
}


@pytest.mark.parametrize("text", IMPORT_MAPS.values(), ids=IMPORT_MAPS)
def test_import_map_of_a_page_keeps_its_rules_and_gets_ours(text: bytes) -> None:
    before, after = json.loads(text), json.loads(edit_import_map(URLS, text))

    for name, address in before.get("imports", {}).items():
        assert after["imports"][name] == URLS.map_text(address)
    assert _resolved(after["imports"], "/x.js") == "/app/x.js"
    assert set(after) == {*before, "imports"}


def test_rule_for_a_path_counts_under_the_prefix_too() -> None:
    after = json.loads(edit_import_map(URLS, IMPORT_MAPS["own-rule-for-paths"]))

    assert _resolved(after["imports"], "/lib/a.js") == "/app/v2/lib/a.js"
    assert _resolved(after["imports"], "/app/lib/a.js") == "/app/v2/lib/a.js"


def test_scopes_are_known_by_where_modules_come_from() -> None:
    after = json.loads(edit_import_map(URLS, IMPORT_MAPS["scopes-only"]))

    assert after["scopes"] == {"/app/x/": {"a": "/app/y"}}


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b'{"imports": []}', b'{"imports": 1}'])
def test_what_is_no_import_map_stays(text: bytes) -> None:
    assert edit_import_map(URLS, text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("imports"), inner),
    max_leaves=10,
)


@given(JSON, st.booleans())
def test_any_json_stays_json(value: object, escape: bool) -> None:
    text = json.dumps(value, ensure_ascii=escape).encode("utf-8", "surrogatepass")

    after = json.loads(edit_import_map(URLS, text))
    assert after == json.loads(text) or "/app/" in after["imports"]


# What must not stand in a script, and so is escaped in the map of the page.
HARMFUL = {
    "script-end": "/</script>",
    "script-start": "/<script>alert(1)</script>",
    "comment": "/<!--",
    "reference": "/&quot;",
    "line-separators": "/\u2028\u2029",
    "cdata-end": "/]]>",
}


@pytest.mark.parametrize("path", HARMFUL.values(), ids=HARMFUL)
def test_what_an_import_map_escapes_is_not_written_out_plainly(path: str) -> None:
    hidden = "".join(f"\\u{ord(character):04x}" for character in path)
    edited = edit_import_map(URLS, f'{{"imports": {{"{hidden}": "{hidden}"}}}}'.encode()).decode()

    assert json.loads(edited)["imports"]["/app" + path] == "/app" + path
    assert not set("<>&\u2028\u2029") & set(edited)
