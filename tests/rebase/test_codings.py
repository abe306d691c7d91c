"""Content codings: off and on again, in constant memory and within limits."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from wsgiproxy.rebase.codings import CodingError, Decoder, Encoder, known_codings, narrowed

CODINGS = sorted(known_codings() - {"identity"})
TEXT = b"".join(b"<p>%d</p>\n" % number for number in range(20_000))


def _encoded(coding: str, text: bytes) -> bytes:
    encoder = Encoder(coding)
    return encoder.feed(text) + encoder.finish()


def test_codings_of_the_test_extra_are_known() -> None:
    assert {"gzip", "deflate", "br"} <= known_codings()


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_coded_text_comes_back_however_it_is_cut(coding: str, step: int) -> None:
    coded = _encoded(coding, TEXT)
    decoder = Decoder(coding)
    pieces = [p for at in range(0, len(coded), step) for p in decoder.feed(coded[at : at + step])]
    decoder.finish()

    assert b"".join(pieces) == TEXT
    assert max(map(len, pieces)) <= 1 << 17


@pytest.mark.parametrize("coding", CODINGS)
def test_flushed_text_can_be_decoded_at_once(coding: str) -> None:
    encoder, decoder = Encoder(coding), Decoder(coding)
    for word in (b"first ", b"second "):
        assert b"".join(decoder.feed(encoder.feed(word) + encoder.flush())) == word


@pytest.mark.parametrize("coding", CODINGS)
def test_cut_body_is_an_error(coding: str) -> None:
    decoder = Decoder(coding)
    list(decoder.feed(_encoded(coding, TEXT)[:-10]))

    with pytest.raises(CodingError, match="cut off"):
        decoder.finish()


@pytest.mark.parametrize("coding", CODINGS)
def test_garbage_is_an_error(coding: str) -> None:
    with pytest.raises(CodingError, match=f"invalid {coding}"):
        list(Decoder(coding).feed(b"\x42garbage" * 100))


@pytest.mark.parametrize("coding", CODINGS)
def test_bomb_is_stopped_in_little_memory(coding: str) -> None:
    encoder = Encoder(coding)
    bomb = b"".join(encoder.feed(bytes(1 << 20)) for _ in range(60)) + encoder.finish()
    decoder = Decoder(coding)

    tracemalloc.start()
    with pytest.raises(CodingError, match="too large"):
        for _ in decoder.feed(bomb):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 << 20


def test_gzip_members_are_one_text() -> None:
    decoder = Decoder("gzip")

    assert b"".join(decoder.feed(gzip.compress(b"a") + gzip.compress(b"b"))) == b"ab"
    decoder.finish()


def test_deflate_without_its_head_is_understood() -> None:
    coder = zlib.compressobj(wbits=-15)
    coded = coder.compress(TEXT) + coder.flush()
    decoder = Decoder("deflate")
    decoded = b"".join(piece for byte in coded for piece in decoder.feed(bytes([byte])))
    decoder.finish()

    assert decoded == TEXT


def test_accepted_codings_are_narrowed_only_where_needed() -> None:
    assert narrowed("gzip, deflate, br;q=0.5") == "gzip, deflate, br;q=0.5"
    assert narrowed("gzip;q=1.0, dcb, *;q=0") == "gzip;q=1.0"
    assert narrowed("dcz, dcb") == "identity"
