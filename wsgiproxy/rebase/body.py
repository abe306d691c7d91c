"""A body on its way through an editor, taken out of its coding and put into it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..errors import ExchangeError, UpstreamBroken
from .codings import CodingError, Decoder, Encoder
from .first_bytes import BodyEditor

__all__ = ["EditedBody", "edit_whole"]


def edit_whole(pieces: Iterable[bytes], editor: BodyEditor, coding: str) -> bytes:
    """A body that is all here, edited.

    :raises UpstreamBroken: for one that is not coded as it says.
    """
    return b"".join(EditedBody(pieces, editor, coding, lambda error: None))


class EditedBody:
    """Every piece that comes in is passed on as far as it can be judged before the next is
    waited for.

    :param body: the pieces as they come; closed with this.
    :param coding: their content coding.
    :param on_failure: called with an error in them before it is raised.
    """

    def __init__(
        self,
        body: Iterable[bytes],
        editor: BodyEditor,
        coding: str,
        on_failure: Callable[[ExchangeError], object],
    ) -> None:
        self._body = body
        self._editor = editor
        self._decoder, self._encoder = Decoder(coding), Encoder(coding)
        self._on_failure = on_failure
        self._pieces = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Called by the server in the end."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _run(self) -> Iterator[bytes]:
        for piece in self._body:
            made = b"".join((*self._edited(piece), self._encoder.flush()))
            if made:
                yield made
        yield self._ended()

    def _edited(self, piece: bytes) -> Iterator[bytes]:
        decoded = self._decoder.feed(piece)
        while True:
            try:
                text = next(decoded)
            except StopIteration:
                return
            except CodingError as error:
                raise self._failed(error) from error
            yield self._encoder.feed(self._editor.feed(text))

    def _ended(self) -> bytes:
        try:
            self._decoder.finish()
        except CodingError as error:
            raise self._failed(error) from error
        return self._encoder.feed(self._editor.finish()) + self._encoder.finish()

    def _failed(self, error: CodingError) -> ExchangeError:
        failure = UpstreamBroken(str(error), stage="body")
        self.close()
        self._on_failure(failure)
        return failure
