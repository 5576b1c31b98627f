"""A model's tokenizer, as the service needs it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from service.errors import ModelFolderError
from service.manifest import TOKENIZER_FILE
from service.text.answer import AnswerText

# A few ms of work on one core: longer texts are tokenised off the event loop.
_INLINE_CHARACTERS = 2_048


class ModelTokenizer:
    """Encodes prompts; opens an AnswerText for each request."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special_ids = frozenset(token_id for token_id, token in added.items() if token.special)
        self._longest_token = max(len(token) for token in tokenizer.get_vocab())

    @classmethod
    def load(cls, folder: Path) -> "ModelTokenizer":
        """Read `folder`/tokenizer.json.

        Raises:
            ModelFolderError: it is missing or broken.
        """
        path = folder / TOKENIZER_FILE
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ModelFolderError(
                f"{path} is missing or broken: {error}. Convert the model again."
            ) from error

    async def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, taken as it is: no template, no special token added."""
        if len(text) <= _INLINE_CHARACTERS:
            return self._encode(text)
        return await asyncio.to_thread(self._encode, text)

    def most_characters(self, tokens: int) -> int:
        """No text of more characters fits in so many tokens."""
        return tokens * self._longest_token

    def _encode(self, text: str) -> list[int]:
        # The batch call gives up the interpreter lock, which `encode` holds for all of its time.
        ids: list[int] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    def answer(self, prompt_ids: Sequence[int], stop: Sequence[str]) -> AnswerText:
        """Start the text of a new answer."""
        return AnswerText(self._tokenizer, self._special_ids, prompt_ids, stop)
