"""The demo model's shape: a LLaVA of a small CLIP tower and the default language model."""

from typing import Any

from export.demo_vlm.scenes import SIDE

PATCH = 28
IMAGE_TOKENS = (SIDE // PATCH) ** 2
IMAGE_MARK = "<image>"
MEAN = STD = (0.5, 0.5, 0.5)
TOWER_WIDTH = 192

TOWER: dict[str, Any] = {
    "hidden_size": TOWER_WIDTH,
    "intermediate_size": 4 * TOWER_WIDTH,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "image_size": SIDE,
    "patch_size": PATCH,
    "projection_dim": TOWER_WIDTH,
    "hidden_act": "quick_gelu",
}
# The tower's last layer is the one that the projector reads, without the class token.
FEATURE_LAYER = -1
FEATURE_SELECTION = "default"

# The short edge is made SIDE pixels and the middle is cut out, as LLaVA does.
PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "CLIPImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": SIDE},
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(MEAN),
    "image_std": list(STD),
    "resample": 3,
}
PROCESSOR: dict[str, Any] = {
    "processor_class": "LlavaProcessor",
    "image_token": IMAGE_MARK,
    "patch_size": PATCH,
    "vision_feature_select_strategy": FEATURE_SELECTION,
    "num_additional_image_tokens": 1,
}
