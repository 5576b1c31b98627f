"""Writes vision-language models of random weights: python -m tests.support.tiny_vision FOLDER ARCHITECTURE...

Each folder is what the Hugging Face hub has for a real model of its architecture: configuration, weights,
tokenizer, processor. Only the sizes are other; they are as small as the architecture and the engine bear.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
CONTEXT_LENGTH = 4096
TEXT = ["What is in this picture? A red circle above two blue squares.", "The capital of France is Paris."]
LAYERS = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SIDE, PATCH = 56, 14

Built = tuple[Any, Any]
"""A model and its processor."""


def tokenizer_with(*marks: str, template_mark: str, **named: str) -> PreTrainedTokenizerFast:
    """A small trained byte-level BPE with the architecture's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[END, *marks],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT_LENGTH,
        extra_special_tokens=named,
    )
    fast.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: "
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + template_mark + "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endif %}\n{% endfor %}assistant: "
    )
    return fast


def text_sizes(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    end = tokenizer.eos_token_id
    return {
        **LAYERS,
        "num_key_value_heads": 2,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT_LENGTH,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
    }


def llava() -> Built:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = tokenizer_with("<image>", template_mark="<image>", image_token="<image>")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TOWER, image_size=SIDE, patch_size=PATCH, projection_dim=32),
        text_config=LlamaConfig(**text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    square = {"height": SIDE, "width": SIDE}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )
    return LlavaForConditionalGeneration(config), processor


def llava_next() -> Built:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokenizer = tokenizer_with("<image>", template_mark="<image>", image_token="<image>")
    grids = [[SIDE * rows, SIDE * columns] for rows, columns in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**TOWER, image_size=SIDE, patch_size=PATCH, projection_dim=32),
        text_config=LlamaConfig(**text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grids,
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    square = {"height": SIDE, "width": SIDE}
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": SIDE}, crop_size=square, image_grid_pinpoints=grids
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )
    return LlavaNextForConditionalGeneration(config), processor


def gemma3() -> Built:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    begin, soft, end = "<start_of_image>", "<image_soft_token>", "<end_of_image>"
    tokenizer = tokenizer_with(
        begin, soft, end, template_mark=begin, boi_token=begin, image_token=soft, eoi_token=end
    )
    ids = tokenizer.convert_tokens_to_ids
    text = Gemma3TextConfig(**text_sizes(tokenizer), head_dim=16, sliding_window=512)
    config = Gemma3Config(
        text_config=text,
        vision_config=SiglipVisionConfig(**TOWER, image_size=SIDE, patch_size=PATCH),
        mm_tokens_per_image=4,
        boi_token_index=ids(begin),
        eoi_token_index=ids(end),
        image_token_index=ids(soft),
    )
    square = {"height": SIDE, "width": SIDE}
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size=square, image_seq_length=4),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
        image_seq_length=4,
    )
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)  # zeros, untrained
    return model, processor


def gemma4() -> Built:
    from transformers import (
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4TextConfig,
        Gemma4VisionConfig,
    )

    named = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "video_token": "<|video|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    tokenizer = tokenizer_with(*named.values(), template_mark="<|image|>", **named)
    ids = tokenizer.convert_tokens_to_ids
    text = Gemma4TextConfig(
        **text_sizes(tokenizer),
        head_dim=16,
        global_head_dim=16,
        sliding_window=512,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(tokenizer),
        num_kv_shared_layers=0,
        layer_types=["sliding_attention", "full_attention"],
    )
    vision = Gemma4VisionConfig(
        **TOWER, num_key_value_heads=2, head_dim=16, pooling_kernel_size=3, patch_size=16
    )
    config = Gemma4Config(
        text_config=text,
        vision_config=vision,
        boi_token_id=ids("<|image>"),
        eoi_token_id=ids("<image|>"),
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        audio_token_id=ids("<|audio|>"),
        boa_token_id=ids("<|audio>"),
        eoa_token_index=ids("<audio|>"),
    )
    from transformers import Gemma4AudioFeatureExtractor, Gemma4VideoProcessor

    processor = Gemma4Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessor(max_soft_tokens=70),
        tokenizer=tokenizer,
        video_processor=Gemma4VideoProcessor(),
        chat_template=tokenizer.chat_template,
    )
    return Gemma4ForConditionalGeneration(config), processor


QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def qwen_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(QWEN_MARKS)), strict=True))


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    from transformers import Qwen2TokenizerFast

    plain = tokenizer_with(*QWEN_MARKS, template_mark="<|vision_start|><|image_pad|><|vision_end|>")
    with TemporaryDirectory() as folder:  # the processor insists on the class, which is only made from files
        plain.save_pretrained(folder)
        tokenizer = Qwen2TokenizerFast.from_pretrained(folder)
    tokenizer.image_token, tokenizer.video_token = "<|image_pad|>", "<|video_pad|>"
    return tokenizer


def qwen_processor(kind: str, tokenizer: PreTrainedTokenizerFast, patch: int) -> Any:
    import transformers

    # What 5.x names Qwen2VLImageProcessor is 4.x's Qwen2VLImageProcessorFast; both write the same file.
    pixels = {"min_pixels": 56 * 56, "max_pixels": 336 * 336}
    images = transformers.Qwen2VLImageProcessor(**pixels, patch_size=patch, merge_size=2)
    video = "Qwen3VLVideoProcessor" if kind == "Qwen3VL" else "Qwen2VLVideoProcessor"
    videos = getattr(transformers, video)(patch_size=patch, merge_size=2)
    return getattr(transformers, f"{kind}Processor")(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=videos,
        chat_template=tokenizer.chat_template,
    )


def qwen2_vl() -> Built:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    rope = {"type": "default", "mrope_section": [2, 3, 3]}
    tower = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2}
    config = Qwen2VLConfig(
        text_config={**text_sizes(tokenizer), "rope_scaling": rope},
        vision_config={**tower, "patch_size": PATCH, "spatial_merge_size": 2},
        **qwen_ids(tokenizer),
    )
    return Qwen2VLForConditionalGeneration(config), qwen_processor("Qwen2VL", tokenizer, PATCH)


def qwen2_5_vl() -> Built:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    rope = {"type": "default", "mrope_section": [2, 3, 3]}
    tower = {"depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64, "num_heads": 2}
    config = Qwen2_5_VLConfig(
        text_config={**text_sizes(tokenizer), "rope_scaling": rope},
        vision_config={**tower, "patch_size": PATCH, "spatial_merge_size": 2, "fullatt_block_indexes": [1]},
        **qwen_ids(tokenizer),
    )
    return Qwen2_5_VLForConditionalGeneration(config), qwen_processor("Qwen2_5_VL", tokenizer, PATCH)


def qwen3_vl() -> Built:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": True}
    tower = {"depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64, "num_heads": 2}
    config = Qwen3VLConfig(
        text_config={**text_sizes(tokenizer), "head_dim": 16, "rope_scaling": rope},
        vision_config={
            **tower,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **qwen_ids(tokenizer),
    )
    return Qwen3VLForConditionalGeneration(config), qwen_processor("Qwen3VL", tokenizer, 16)


BUILDERS: dict[str, Callable[[], Built]] = {
    "llava": llava,
    "llava_next": llava_next,
    "gemma3": gemma3,
    "gemma4": gemma4,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
}


def write_tiny_vision_model(architecture: str, folder: Path) -> None:
    """Write a whole Hugging Face folder; the same bytes each time."""
    torch.manual_seed(0)
    model, processor = BUILDERS[architecture]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        write_tiny_vision_model(name, Path(sys.argv[1]) / name)
