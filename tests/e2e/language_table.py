"""The table in docs/text-models.md: its rows, what a run found, and the file's form."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "text-models.md"
COMMAND = ".venv/bin/pytest tests/e2e/test_language_architectures.py --write-language-table"
BEGIN, END = "<!-- written by the tests: begin -->", "<!-- written by the tests: end -->"
_HEADING = (
    "| architecture | models such as | converted to INT8, INT4 | FP16: largest error | INT8: typical error "
    "| INT4: typical error | served in INT8, INT4 | what the tiny model has |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)
_ROW = re.compile(r"^\| `(?P<architecture>\w+)` \| (?P<rest>.+) \|$", re.MULTILINE)

# What a row says beside the figures: real models, and what the tiny one shares with them.
DESCRIPTIONS: Mapping[str, tuple[str, str]] = {
    "llama": ("Llama 3.1, 3.2, SmolLM2, DeepSeek-R1-Distill-Llama, Hermes 3", "llama3 scaled positions"),
    "mistral": ("Mistral 7B, OpenHermes, Hermes 2 Pro", "a window of 16 tokens"),
    "mixtral": ("Mixtral 8x7B", "2 of 4 experts"),
    "qwen2": ("Qwen2.5, Qwen2.5-Coder, DeepSeek-R1-Distill-Qwen", "tied embeddings, biases"),
    "qwen3": ("Qwen3 0.6B to 32B", "norms of queries and keys"),
    "qwen3_moe": ("Qwen3-30B-A3B", "2 of 4 experts"),
    "phi": ("Phi-1.5, Phi-2", "partly rotated heads"),
    "phi3": ("Phi-3-mini 4k and 128k, Phi-4-mini", "long positions (longrope), a window of 16 tokens"),
    "gemma2": ("Gemma 2 2B to 27B", "a window in every other layer, capped logits; see below"),
    "gemma3_text": ("Gemma 3 270M and 1B", "a window in every other layer; see below"),
    "gpt_neox": ("Pythia, Dolly 2", "parallel blocks, half-rotated heads"),
    "gpt_oss": ("gpt-oss-20b", "2 of 4 experts, sinks, a window in every other layer"),
    "starcoder2": ("StarCoder2 3B to 15B", "a window of 16 tokens, biases"),
    "granite": ("Granite 3", "multipliers of embeddings, attention, residuals, logits"),
    "olmo2": ("OLMo 2", "norms behind the blocks"),
    "smollm3": ("SmolLM3 3B", "a layer without positions"),
    "falcon": ("Falcon 40B, Falcon 2", "the newer of its two forms"),
    "bloom": ("BLOOM, BLOOMZ", "positions as a bias (ALiBi)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One architecture's results; errors in units of the logits' standard deviation."""

    architecture: str
    fp16_largest: float
    int8_typical: float
    int4_typical: float
    is_converted: bool
    is_served: bool


def documented_architectures(text: str) -> list[str]:
    """The architectures of the table, in its order."""
    return [match["architecture"] for match in _ROW.finditer(_table(text))]


def unfavourable_rows(text: str) -> list[str]:
    """The architectures of which the table says no."""
    return [match["architecture"] for match in _ROW.finditer(_table(text)) if "| no |" in match[0]]


def render(text: str, rows: Iterable[Row], *, date: str, machine: str, versions: str) -> str:
    """The document with its table replaced."""
    lines = [_line(row) for row in rows]
    said = f"Recorded on {date}, {machine}, by\n`{COMMAND}`,\nwith {versions}."
    table = "\n".join([BEGIN, said, "", _HEADING, *lines, END])
    return text.replace(_table(text), table)


def _line(row: Row) -> str:
    models, notes = DESCRIPTIONS[row.architecture]
    converted, served = ("yes" if good else "no" for good in (row.is_converted, row.is_served))
    figures = f"{row.fp16_largest:.4f} | {row.int8_typical:.3f} | {row.int4_typical:.2f}"
    return f"| `{row.architecture}` | {models} | {converted} | {figures} | {served} | {notes} |"


def _table(text: str) -> str:
    return text[text.index(BEGIN) : text.index(END) + len(END)]
