"""Puts the demo model together: the trained parts of this project and the default language model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

from export.demo_vlm.shape import (
    FEATURE_LAYER,
    FEATURE_SELECTION,
    IMAGE_MARK,
    IMAGE_TOKENS,
    PREPROCESSOR,
    PROCESSOR,
    TOWER,
)
from export.errors import ConversionError
from export.gguf.file import GgufFile, read_gguf
from export.gguf.tokenizer import build_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import LlavaForConditionalGeneration, PreTrainedModel

TRAINED = Path(__file__).with_name("tiny-shapes.safetensors")
"""The weights of the tower and the projector, fp16, named as in LlavaForConditionalGeneration."""

_LANGUAGE_MODEL = ("model.language_model.", "lm_head.")
# SmolLM2's own template, for contents that are lists of parts as well.
_CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def assemble(folder: Path, gguf: Path) -> None:
    """Write a Hugging Face folder of the whole model; `gguf` is the default language model's file.

    Needs torch and transformers, of the extra `export`.

    Raises:
        ConversionError: when the trained parts are missing, or belong to another shape of the model.
    """
    from safetensors.torch import load_file

    if not TRAINED.exists():
        raise ConversionError(f"{TRAINED} is missing: get it with git, or run scripts/train_demo_vlm.py")
    file = read_gguf(gguf)
    model = untrained(gguf, file)
    missing, unexpected = model.load_state_dict(load_file(TRAINED), strict=False)
    if unexpected or any(is_trained(name) for name in missing):
        raise ConversionError(
            f"{TRAINED} does not fit export/demo_vlm/shape.py ({(unexpected or missing)[0]}): get both with "
            "git, or run scripts/train_demo_vlm.py"
        )
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    write_tokenizer(folder, file)
    _write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    _write_json(folder / "processor_config.json", PROCESSOR)


def untrained(gguf: Path, file: GgufFile) -> "LlavaForConditionalGeneration":
    """The model with the default language model's weights, and random ones in the parts to be trained."""
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    language_model = read_language_model(gguf)
    text_config = language_model.config
    mark = len(file.require("tokenizer.ggml.tokens"))
    language_model.resize_token_embeddings(mark + 1, mean_resizing=False)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TOWER),
        text_config=text_config,
        image_token_index=mark,
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy=FEATURE_SELECTION,
        tie_word_embeddings=bool(text_config.tie_word_embeddings),
    )
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language_model.model.state_dict())
    model.lm_head.load_state_dict(language_model.lm_head.state_dict())
    model.generation_config.eos_token_id = list(file.eos_token_ids)
    return model.eval()


def is_trained(name: str) -> bool:
    """Whether the parameter of that name is of the parts trained in this project."""
    return not name.startswith(_LANGUAGE_MODEL)


def save_trained(model: "LlavaForConditionalGeneration", path: Path) -> None:
    """Write the trained parts, fp16, whole or not at all."""
    from safetensors.torch import save_file

    trained = {
        name: tensor.half().contiguous() for name, tensor in model.state_dict().items() if is_trained(name)
    }
    part = path.with_suffix(".part")
    save_file(trained, part)
    part.replace(path)


def read_language_model(gguf: Path, dtype: "torch.dtype | None" = None) -> "PreTrainedModel":
    """The language model in the file, its weights unpacked."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=dtype or torch.float32, local_files_only=True
    )


def tokenizer_of(file: GgufFile) -> Tokenizer:
    """The language model's tokenizer with the image's mark."""
    tokenizer = build_tokenizer(file)
    tokenizer.add_special_tokens([AddedToken(IMAGE_MARK, special=True, normalized=False)])
    return tokenizer


def write_tokenizer(folder: Path, file: GgufFile) -> None:
    """Write the tokenizer, and the chat template."""
    tokenizer_of(file).save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(_CHAT_TEMPLATE, encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "processor_class": PROCESSOR["processor_class"],
            "image_token": IMAGE_MARK,
            "extra_special_tokens": {"image_token": IMAGE_MARK},
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|im_end|>",
            "model_max_length": file.context_length,
        },
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
