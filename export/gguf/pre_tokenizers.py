"""How byte-level BPE vocabularies split text into words, by the name that a GGUF file gives the rule.

The names are llama.cpp's (`tokenizer.ggml.pre`), the expressions those of the models' own
tokenizer.json files. Each rule is one expression, also where those have a sequence of splits: OpenVINO's
tokenizer (2026.4) does not split the parts of an earlier split where Hugging Face's does.
"""

from dataclasses import dataclass

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_CASELESS = f"(?i:{_CONTRACTIONS})"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"\s+(?!\S)|\s+"
_LINES = r"\s*[\r\n]+"
# Where digits are split off first, the spaces before one end a part of the text.
_SPACES_BEFORE_DIGITS = rf"\s+(?=\p{{N}})|{_SPACES}"
_HEAD, _TAIL = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?[{_HEAD}]*[{_TAIL}]+|[^\r\n\p{{L}}\p{{N}}]?[{_HEAD}]+[{_TAIL}]*"
_FINNISH_ENDS = r"\s|.,!?…。，、।۔،"  # noqa: RUF001 - Chinese and Arabic punctuation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to prepare text for merging: where to split it, and what else its models expect."""

    split: str
    takes_whole_words: bool = False
    """Whether a word that is a token is taken whole, without merging."""
    begins_with_bos: bool = False
    """Whether a file that does not say otherwise begins every text with its bos token."""
    is_normalised: bool = False
    """Whether text is brought into Unicode's composed form (NFC) first; llama.cpp leaves that out."""


_GPT_2 = Rule(split=rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{_SPACES}")
_DIGITS = Rule(split=rf"{_CONTRACTIONS}| ?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+|{_SPACES_BEFORE_DIGITS}")
_LLAMA_3_SPLIT = rf"{_CASELESS}|{_WORD}|\p{{N}}{{1,3}}|{_SIGNS}|{_LINES}|{_SPACES}"
_LLAMA_3 = Rule(split=_LLAMA_3_SPLIT, takes_whole_words=True, begins_with_bos=True)
_QWEN_2_SPLIT = rf"{_CASELESS}|{_WORD}|\p{{N}}|{_SIGNS}|{_LINES}|{_SPACES}"

RULES: dict[str, Rule] = {
    "a.x-4.0": _GPT_2,
    "codeshell": _DIGITS,
    "command-r": _DIGITS,
    "dbrx": Rule(split=_LLAMA_3_SPLIT),
    "deepseek-r1-qwen": Rule(split=_QWEN_2_SPLIT),
    "exaone": _DIGITS,
    "falcon3": _LLAMA_3,
    "gpt-2": _GPT_2,
    "granite-docling": _GPT_2,
    "kormo": Rule(split=_QWEN_2_SPLIT),
    "llama-bpe": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "llama3": _LLAMA_3,
    "mellum": _GPT_2,
    "midm-2.0": _LLAMA_3,
    "minerva-7b": _DIGITS,
    "minicpm5": Rule(
        split=rf"{_CASELESS}|{_WORD}|\p{{N}}{{1,3}}|{_SIGNS}|{_LINES}|{_SPACES_BEFORE_DIGITS}",
        takes_whole_words=True,
    ),
    "mpt": _GPT_2,
    "olmo": _GPT_2,
    "pixtral": _LLAMA_3,
    "poro-chat": Rule(split=rf" ?[^({_FINNISH_ENDS})]+"),
    "qwen2": Rule(split=_QWEN_2_SPLIT, is_normalised=True),
    "refact": _DIGITS,
    "seed-coder": Rule(split=rf"{_CASELESS}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_LINES}|{_SPACES}"),
    "smaug-bpe": Rule(split=_LLAMA_3_SPLIT),
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "tekken": Rule(
        split=rf"{_CASED}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_LINES}|{_SPACES}",
        takes_whole_words=True,
        begins_with_bos=True,
    ),
    "trillion": _GPT_2,
    "ufakzeka": Rule(split=rf"{_WORD}|\p{{N}}|{_SIGNS}|{_LINES}|{_SPACES}"),
    "viking": Rule(split=rf" (?=\p{{N}})|\p{{N}}| ?[^({_FINNISH_ENDS})\p{{N}}]+"),
}
