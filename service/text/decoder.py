"""Decodes token ids one by one without ever cutting a character in two."""

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

# Tokens of the prompt that the decoder sees first, so that a first token's leading space survives
# decoders that strip it at the start of a text (SentencePiece's).
_CONTEXT_TOKENS = 6


class IncrementalDecoder:
    """Gives each token's text; bytes of an unfinished character wait for the tokens that complete it."""

    def __init__(self, tokenizer: Tokenizer, prompt_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(ids=list(prompt_ids[-_CONTEXT_TOKENS:]), skip_special_tokens=True)
        self._waiting: list[int] = []

    def add(self, token_id: int) -> str:
        """Return the text that this token completes; empty while a character is unfinished."""
        text: str | None = self._stream.step(self._tokenizer, token_id)
        if text is None:
            self._waiting.append(token_id)
            return ""
        self._waiting.clear()
        return text

    def flush(self) -> str:
        """Return what never became whole characters, with U+FFFD in place of the broken ones."""
        text: str = self._tokenizer.decode(self._waiting, skip_special_tokens=True)
        self._waiting.clear()
        return text
