"""A model's tokenizer, as the service needs it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from service.errors import ModelFolderError
from service.manifest import TOKENIZER_FILE
from service.text.answer import AnswerText

# About 5 ms of work on one core: longer texts are tokenised off the event loop.
_INLINE_CHARACTERS = 8_192


class ModelTokenizer:
    """Encodes prompts; opens an AnswerText for each request."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special_ids = frozenset(token_id for token_id, token in added.items() if token.special)

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

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def answer(self, prompt_ids: Sequence[int], stop: Sequence[str]) -> AnswerText:
        """Start the text of a new answer."""
        return AnswerText(self._tokenizer, self._special_ids, prompt_ids, stop)
