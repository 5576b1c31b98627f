"""A model whose answers are more than any socket buffers."""

from pathlib import Path

from tokenizers import Tokenizer

from service.manifest import read_manifest, write_manifest

LONG_TOKEN = "<" + "x" * 20_000 + ">"


def write_wordy_model(tiny_model: Path, folder: Path) -> Path:
    """The tiny model with LONG_TOKEN, one token of 20 kB; the fake backend repeats its prompt."""
    model = folder / "wordy"
    model.mkdir()
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    tokenizer.add_tokens([LONG_TOKEN])
    tokenizer.save(str(model / "tokenizer.json"))
    write_manifest(model, read_manifest(tiny_model).model_copy(update={"context_length": 10_000}))
    return model
