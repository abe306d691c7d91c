"""Validators of edited pages."""

from __future__ import annotations

import pytest

from wsgiproxy.rebase.validators import mixed, unmixed, was_mixed

MARK, OTHER = "0123abcd", "99999999"


@pytest.mark.parametrize("etag", ['"x"', 'W/"x"', '""', '"a~b"', '"~s0123abce"'])
def test_validator_is_weak_and_leads_back(etag: str) -> None:
    made = mixed(etag, MARK)

    assert made.startswith('W/"')
    assert unmixed(made, MARK) == etag
    assert was_mixed(made, MARK)


def test_validator_of_other_settings_is_forgotten() -> None:
    condition = f'{mixed(chr(34) + "x" + chr(34), OTHER)}, "y"'

    assert unmixed(condition, MARK) == '"y"'
    assert unmixed(mixed('"x"', OTHER), MARK) == ""
    assert not was_mixed(condition, MARK)


def test_what_is_no_validator_stays() -> None:
    assert mixed("broken", MARK) == "broken"
    assert unmixed("*", MARK) == "*"
    assert unmixed('"a", W/"b"', MARK) == '"a", W/"b"'
