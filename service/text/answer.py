"""Builds one answer's text from its token ids."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from service.domain import Token
from service.text.decoder import IncrementalDecoder
from service.text.stop import StopMatcher


class AnswerText:
    """The text of one answer so far.

    Joining the texts of its non-special tokens gives `text()`, but for text that waits to be known as no stop
    string when the answer ends. A character that a special token interrupts may be completed after it; at
    the end it is dropped.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        special_ids: frozenset[int],
        prompt_ids: Sequence[int],
        stop: Sequence[str],
        *,
        keep_stop: bool = True,
    ) -> None:
        self._tokenizer = tokenizer
        self._special_ids = special_ids
        self._decoder = IncrementalDecoder(tokenizer, prompt_ids)
        self._stop = StopMatcher(stop, keep=keep_stop)
        self._pieces: list[str] = []
        self.token_count = 0

    @property
    def hit_stop(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._stop.has_hit

    def add(self, token_id: int, logprob: float | None, *, is_last: bool) -> Token:
        """Add a token; `is_last` when the engine ended after it, so no later one completes a character."""
        self.token_count += 1
        if token_id in self._special_ids:
            content: str = self._tokenizer.id_to_token(token_id)
            # No stop string reaches over a special token.
            freed = self._stop.flush()
            self._pieces.append(freed)
            return Token(id=token_id, text=content, piece=content, logprob=logprob, special=True, freed=freed)
        piece = self._decoder.add(token_id)
        if is_last:
            piece += self._decoder.flush()
        text = self._stop.add(piece)
        if is_last:
            text += self._stop.flush()
        self._pieces.append(text)
        return Token(id=token_id, text=text, piece=piece, logprob=logprob, special=False)

    def finish(self) -> str:
        """End the answer; return its whole text, without special tokens."""
        self._pieces.append(self._stop.flush())
        return "".join(self._pieces)
