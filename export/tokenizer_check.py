"""Checks that tokenizer.json agrees with the OpenVINO tokenizer beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from service.manifest import TOKENIZER_FILE

if TYPE_CHECKING:
    import openvino_genai

TEXTS = (
    "Hello, world!",
    "The quick brown fox didn't jump; it's 'quoted', they'll say we've \"won\".",
    "What are the three main benefits of renewable energy?\n\n1. Clean air\n2. Jobs\n",
    "def add(a: int) -> int:\n    return a + 1  # sum\n\n\tif x != 0x1F and y <= 3.14e-10:\n\t\tpass\n",
    '{"name": "tiber", "values": [1, 22, 333, 4444], "ok": true, "none": null}',
    "SELECT * FROM t WHERE a_b = 'c' -- comment\r\nGROUP BY 1;\r\n",
    "0123456789 42 1,000,000.50 2026-11-23T12:34:56Z v1.2.3",
    "你好，世界！日本語のテキストと한국어 문장.",  # noqa: RUF001 - Chinese punctuation
    "Привет мир, γειά σου Κόσμε, مرحبا بالعالم, שלום עולם, नमस्ते दुनिया",  # noqa: RUF001 - Greek
    "Emoji 😀 🎉👩‍👩‍👧‍👦 🇩🇪 ❤️ and caffè, naïve, Zürich, Łódź",
    "spaces  two   three    four     five\ttab\t\ttabs \n \n\n newline   ",
    "   leading and trailing   ",
    "\n\n\n",
    " ",
    "a",
    "CamelCase snake_case kebab-case SCREAMING_CASE https://example.org/a?b=c&d=%20#frag user@example.org",
    "a\u200db \ufeffx \u00a0 y \0 z I'LL we'Ve DON'T",
    "½ ² ③ Ⅷ ٣ ∑∫√ ≠ → … — “curly” ‘quotes’ €£¥ ©®™",  # noqa: RUF001 - typographic quotes
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One text that the two tokenizers read or write differently."""

    text: str
    operation: str

    def __str__(self) -> str:
        return f"{self.operation} of {self.text!r}"


def find_disagreement(folder: Path) -> Disagreement | None:
    """Compare both tokenizers of `folder` on the bundled texts, alone and between special tokens."""
    from openvino_genai import Tokenizer as EngineTokenizer

    ours = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    theirs = EngineTokenizer(folder)
    special = [token.content for _, token in sorted(ours.get_added_tokens_decoder().items()) if token.special]
    framed = [f"{token}{TEXTS[0]}{token}\n{token} x" for token in special]
    return compare(ours, theirs, (*TEXTS, *framed))


def compare(ours: Tokenizer, theirs: "openvino_genai.Tokenizer", texts: Iterable[str]) -> Disagreement | None:
    """The first text that encodes to other ids, or whose ids decode to other text; None when all agree."""
    for text in texts:
        for add_special in (False, True):
            ids = ours.encode(text, add_special_tokens=add_special).ids
            if ids != theirs.encode(text, add_special_tokens=add_special).input_ids.data[0].tolist():
                return Disagreement(text=text, operation="encoding")
            for skip in (False, True):
                if ours.decode(ids, skip_special_tokens=skip) != theirs.decode(ids, skip_special_tokens=skip):
                    return Disagreement(text=text, operation="decoding")
    return None
