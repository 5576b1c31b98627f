"""A model's tokenizer, as the service needs it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from service.errors import ModelFolderError
from service.manifest import TOKENIZER_FILE
from service.text.answer import AnswerText

# A few ms of work on one core: longer texts are tokenised off the event loop.
_INLINE_CHARACTERS = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class TextToken:
    """A token of a given text, and the characters `start` to `stop` that it stands for."""

    id: int
    text: str
    start: int
    stop: int


class ModelTokenizer:
    """Turns texts into token ids and back; opens an AnswerText for each request."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special_ids = frozenset(token_id for token_id, token in added.items() if token.special)
        vocabulary = tokenizer.get_vocab()
        self._longest_token = max(len(token) for token in vocabulary)
        self.ids = frozenset(vocabulary.values())

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

    async def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text.

        `add_special_tokens` adds what the tokenizer adds by itself, such as the token that begins every
        text; a text that has it already doesn't get it twice.
        """
        # The batch calls give up the interpreter lock, which `encode` holds for all of its time.
        encode = self._tokenizer.encode_batch_fast
        wanted = partial(encode, [text], add_special_tokens=add_special_tokens)
        encodings = wanted() if len(text) <= _INLINE_CHARACTERS else await asyncio.to_thread(wanted)
        ids: list[int] = encodings[0].ids
        return ids[1:] if self._begins_twice(ids) else ids

    async def without_added_start(self, text: str) -> str:
        """The text without the special tokens at its start that `encode` would add anyway."""
        start = await self.decode(self._added_ids())
        return text.removeprefix(start) if start else text

    def _added_ids(self) -> list[int]:
        ids: list[int] = self._tokenizer.encode("", add_special_tokens=True).ids
        return ids

    def split(self, text: str) -> list[TextToken]:
        """The tokens of a text, those that the tokenizer adds by itself included.

        It takes up to a second for the longest prompts: to be called in a thread.
        """
        encoding = self._tokenizer.encode_batch([text], add_special_tokens=True)[0]
        tokens = [
            TextToken(id=token_id, text=text[start:stop], start=start, stop=stop)
            for token_id, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
        ]
        return tokens[1:] if self._begins_twice(encoding.ids) else tokens

    async def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return (await self._decode([list(ids)]))[0]

    async def _decode(self, texts_ids: list[list[int]]) -> list[str]:
        # The batch call gives up the interpreter lock.
        decode = partial(self._tokenizer.decode_batch, texts_ids, skip_special_tokens=False)
        texts: list[str] = await asyncio.to_thread(decode)
        return texts

    async def texts(self, ids: Sequence[int]) -> list[str]:
        """Each token id's own text."""
        return await self._decode([[one] for one in ids])

    def most_characters(self, tokens: int) -> int:
        """No text of more characters fits in so many tokens."""
        return tokens * self._longest_token

    def answer(self, prompt_ids: Sequence[int], stop: Sequence[str], *, keep_stop: bool) -> AnswerText:
        """Start the text of a new answer."""
        return AnswerText(self._tokenizer, self._special_ids, prompt_ids, stop, keep_stop=keep_stop)

    def _begins_twice(self, ids: Sequence[int]) -> bool:
        return len(ids) > 1 and ids[0] == ids[1] and ids[0] in self._special_ids
