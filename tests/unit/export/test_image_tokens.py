"""The rules on the configurations of real models; tests/e2e/test_vision_architectures.py asks the engine."""

from typing import Any

import pytest

from export import image_tokens
from export.errors import ConversionError
from export.vision_recipes import RECIPES

CLIP_336 = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
CLIP_TOWER = {
    "vision_config": {"patch_size": 14, "image_size": 336},
    "vision_feature_select_strategy": "default",
}
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
INTERNVL = {
    "vision_config": {"image_size": 448, "patch_size": 14},
    "force_image_size": 448,
    "downsample_ratio": 0.5,
}


@pytest.mark.parametrize(
    ("kind", "config", "processor", "tokens"),
    [
        ("llava", CLIP_TOWER, CLIP_336, 576 + 2),
        ("llava", CLIP_TOWER | {"vision_feature_select_strategy": "full"}, CLIP_336, 577 + 2),
        ("llava_next", CLIP_TOWER, CLIP_336 | {"image_grid_pinpoints": PINPOINTS}, 576 + 2352 + 2),
        ("qwen2_vl", {}, {"patch_size": 14, "merge_size": 2, "min_pixels": 3136}, 37 * 37 + 2),
        (
            "qwen2_5_vl",
            {},
            {"patch_size": 14, "merge_size": 2, "min_pixels": 3136, "max_pixels": 784 * 100},
            100 + 2,
        ),
        (
            "qwen3_vl",
            {},
            {"patch_size": 16, "merge_size": 2, "size": {"shortest_edge": 65536, "longest_edge": 16777216}},
            1024 + 2,
        ),
        ("gemma3", {"mm_tokens_per_image": 256}, {}, 256 + 2 + 4),
        ("gemma4", {}, {"max_soft_tokens": 280}, 280 + 2),
        ("internvl_chat", INTERNVL, {}, 13 * 256 + 2 + 2),
        ("minicpmv", {"query_num": 64}, {"max_slice_nums": 9}, 10 * 66 + 9 * 2 + 5 + 2),
        ("phi3_v", {}, {"num_crops": 4}, 781 + 2),
    ],
)
def test_an_image_takes_at_most(
    kind: str, config: dict[str, Any], processor: dict[str, Any], tokens: int
) -> None:
    assert RECIPES[kind].tokens_per_image(config, processor) == tokens


def test_a_small_image_enlarged_to_a_thin_one_can_take_the_most() -> None:
    processor = {"patch_size": 14, "merge_size": 2, "min_pixels": 784 * 200, "max_pixels": 784 * 200}
    assert image_tokens.qwen_vl({}, processor) == 200 + 200 + 1 + 1 + 2


def test_llava_with_another_tower_than_clip_is_refused() -> None:
    siglip = {"size": {"height": 384, "width": 384}}
    with pytest.raises(ConversionError, match="CLIP vision tower"):
        image_tokens.llava(CLIP_TOWER, siglip)
