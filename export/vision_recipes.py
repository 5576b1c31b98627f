"""What is known of each vision-language architecture that the engine serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from export import image_tokens
from export.image_tokens import Settings

Treatment = Literal["asked", "int8", "by size"]
"""As `--weights` says; INT8 unless FP16 is asked for; the same, but FP16 where the part is small."""

# A tower works on a whole image at once, so it is bound by arithmetic: INT8 weights save memory and no time.
# CLIP's and SigLIP's large towers (300 M and more) are worth that, the small ones are not worth the loss.
LARGE_TOWER_WEIGHTS = 100_000_000

_LANGUAGE: dict[str, Treatment] = {"language_model": "asked", "text_embeddings_model": "int8"}
_PLAIN: dict[str, Treatment] = _LANGUAGE | {"vision_embeddings_model": "by size"}
_MERGED: dict[str, Treatment] = _PLAIN | {"vision_embeddings_merger_model": "by size"}
_QWEN_MARKS = (
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One architecture; `parts` are openvino_NAME.xml of the converted folder.

    `marks` come from openvino.genai's source: first what stands for an image in the model's own prompts,
    then the tokens that the engine writes around and into that place, `engine_appends` what it writes
    behind it although the model's prompts have that themselves. The engine fails at images whose sides
    differ by more than `max_aspect_ratio`. `newest_transformers` is the last
    version that optimum-intel exports it with; None where the present one does. With `needs_own_code` the
    model's definition is Python code in its folder, which is never run here.
    """

    parts: Mapping[str, Treatment]
    marks: tuple[str, ...]
    max_images: int
    tokens_per_image: Callable[[Settings, Settings], int]
    engine_appends: str = ""
    max_aspect_ratio: Callable[[Settings, Settings], float] | None = None
    newest_transformers: str | None = None
    needs_own_code: bool = False


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "llava": Recipe(
            parts=_PLAIN,
            marks=("<image>",),
            max_images=4,
            tokens_per_image=image_tokens.llava,
            engine_appends="\n",
        ),
        "llava_next": Recipe(
            parts=_PLAIN,
            marks=("<image>",),
            max_images=4,
            tokens_per_image=image_tokens.llava_next,
            engine_appends="\n",
            max_aspect_ratio=image_tokens.llava_next_aspect_ratio,
        ),
        "qwen2_vl": Recipe(
            parts=_MERGED,
            marks=_QWEN_MARKS,
            max_images=8,
            tokens_per_image=image_tokens.qwen_vl,
            max_aspect_ratio=image_tokens.qwen_vl_aspect_ratio,
            newest_transformers="5.0",
        ),
        "qwen2_5_vl": Recipe(
            parts=_MERGED,
            marks=_QWEN_MARKS,
            max_images=8,
            tokens_per_image=image_tokens.qwen_vl,
            max_aspect_ratio=image_tokens.qwen_vl_aspect_ratio,
            newest_transformers="5.0",
        ),
        "qwen3_vl": Recipe(
            parts=_MERGED | {"vision_embeddings_pos_model": "by size"},
            marks=_QWEN_MARKS,
            max_images=8,
            tokens_per_image=image_tokens.qwen_vl,
            max_aspect_ratio=image_tokens.qwen_vl_aspect_ratio,
            newest_transformers="5.0",
        ),
        "gemma3": Recipe(
            parts=_PLAIN,
            marks=("<start_of_image>", "<image_soft_token>", "<end_of_image>"),
            max_images=8,
            tokens_per_image=image_tokens.gemma3,
        ),
        "gemma4": Recipe(
            parts=_PLAIN | {"text_embeddings_per_layer_model": "int8"},
            marks=("<|image|>", "<|image>", "<image|>", "<|video|>"),
            max_images=8,
            tokens_per_image=image_tokens.gemma4,
        ),
        "internvl_chat": Recipe(
            parts=_PLAIN,
            marks=("<image>", "<img>", "<IMG_CONTEXT>", "</img>"),
            max_images=4,
            tokens_per_image=image_tokens.internvl_chat,
            engine_appends="\n",
            newest_transformers="4.57.6",
            needs_own_code=True,
        ),
        "minicpmv": Recipe(
            parts=_PLAIN | {"resampler_model": "by size"},
            marks=(
                "<image>./</image>",
                "<image>",
                "</image>",
                "<slice>",
                "</slice>",
                "<image_id>",
                "</image_id>",
                "<unk>",
            ),
            max_images=4,
            tokens_per_image=image_tokens.minicpmv,
            engine_appends="\n",
            newest_transformers="4.57.6",
            needs_own_code=True,
        ),
        "phi3_v": Recipe(
            parts=_PLAIN | {"vision_projection_model": "by size"},
            marks=("<|image_",),  # with a number and |> behind it
            max_images=4,
            tokens_per_image=image_tokens.phi3_v,
            engine_appends="\n",
            newest_transformers="4.53.3",
            needs_own_code=True,
        ),
    }
)
