"""Runs checkpoints in transformers on the CPU."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ConversionError
from export.smoke import NEW_TOKENS, PROMPT

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def generate_few(folder: Path) -> str:
    """Load `folder`, generate a few tokens greedily on the CPU, and return their text.

    Raises:
        ConversionError: when it does not load, lacks weights, or generates nothing.
    """
    import torch
    from transformers import AutoTokenizer

    model = load(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    ids = torch.tensor([tokenizer.encode(PROMPT)])
    with quiet_loading():
        generated = generate(model, ids, NEW_TOKENS)
    if not generated:
        raise ConversionError("the checkpoint generates nothing in transformers: try other --weights")
    return str(tokenizer.decode(generated))


def generate(model: "PreTrainedModel", ids: "torch.Tensor", new_tokens: int) -> list[int]:
    """The tokens that `model` greedily puts behind the prompt `ids` [1, tokens], an end token included."""
    import torch

    with torch.inference_mode():
        all_ids = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False
        )
    return [int(number) for number in all_ids[0, ids.shape[1] :]]


def load(folder: Path) -> "PreTrainedModel":
    """The model in `folder` as transformers loads it, in bf16.

    Raises:
        ConversionError: when it can't be loaded, or its weights and its description do not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with quiet_loading():
        try:
            model, report = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as error:  # a border: what a model's code raises has no common type
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConversionError(f"transformers does not load the checkpoint: {reason}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(kind):
            raise ConversionError(
                f"transformers finds {kind.replace('_', ' ')} in the checkpoint: {min(report[kind])}"
            )
    return model.eval()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Leave stderr to the steps of the conversion: the libraries draw bars of their own there, and warn."""
    from tqdm import tqdm

    with_bars = tqdm.__init__

    def without(bar: tqdm, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - tqdm's own
        with_bars(bar, *arguments, **options | {"disable": True})

    tqdm.__init__ = without
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tqdm.__init__ = with_bars
