"""Counts the most prompt tokens that one image takes, by rules read from openvino.genai's image processing.

Each rule takes config.json (filled with its defaults) and preprocessor_config.json, and counts for images of
at most MAX_SIDE on each side. Line breaks that the engine writes around an image count as two tokens each:
that is what tokenizers of SentencePiece's kind make of one.
"""

import math
from typing import Any

from export.errors import ConversionError

MAX_SIDE = 1024
LINE_BREAK = 2

Settings = dict[str, Any]


def llava(config: Settings, processor: Settings) -> int:
    """One token for each patch of the cropped image."""
    rows, columns = _crop_patches(config, processor)
    return rows * columns + _class_token(config) + LINE_BREAK


def llava_next(config: Settings, processor: Settings) -> int:
    """The whole image and its tiles, whose rows each end with one token more."""
    rows, columns = _crop_patches(config, processor)
    edge = int(processor["size"]["shortest_edge"])
    tiles: list[int] = []
    for first, second in processor.get("image_grid_pinpoints") or config["image_grid_pinpoints"]:
        height, width = int(first) // edge * rows, int(second) // edge * columns
        tiles.append(height * width + max(height, width))
    return rows * columns + _class_token(config) + max(tiles) + LINE_BREAK


def llava_next_aspect_ratio(config: Settings, processor: Settings) -> float:
    """Longer images would leave no row of a tile's patches where the engine cuts the padding off."""
    return min(_crop_patches(config, processor))


def qwen_vl(config: Settings, processor: Settings) -> int:
    """One token for each square of merged patches, after a resize to between min_pixels and max_pixels.

    An enlarged image is rounded up on both sides, which counts most at the longest shape, 1:200.
    """
    side = int(processor["patch_size"]) * int(processor["merge_size"])
    least, most = (pixels / side**2 for pixels in _pixel_limits(processor))
    largest = round(MAX_SIDE / side) ** 2
    long, short = math.sqrt(least * 200), math.sqrt(least / 200)
    enlarged = math.ceil(least + long + short + 1)
    begin_and_end = 2
    return max(min(int(most), largest), enlarged) + begin_and_end


def qwen_vl_aspect_ratio(config: Settings, processor: Settings) -> float:
    """The engine refuses longer ones, as transformers does."""
    return 200


def gemma3(config: Settings, processor: Settings) -> int:
    """Always as many, between two marks and two empty lines."""
    return int(config["mm_tokens_per_image"]) + 2 + 2 * LINE_BREAK


def gemma4(config: Settings, processor: Settings) -> int:
    """A budget that images of every shape keep within, between two marks."""
    return int(processor["max_soft_tokens"]) + 2


def internvl_chat(config: Settings, processor: Settings) -> int:
    """Twelve tiles and a small copy of the whole, each pooled, between two marks."""
    vision = config["vision_config"]
    patches = (config.get("force_image_size") or vision["image_size"]) // vision["patch_size"]
    tokens_per_tile = int((patches * config["downsample_ratio"]) ** 2)
    tiles = 13  # the engine does not read max_dynamic_patch
    return tiles * tokens_per_tile + 2 + LINE_BREAK


def minicpmv(config: Settings, processor: Settings) -> int:
    """The whole image and its slices, each between two marks, slices in rows, after the image's number."""
    slices = int(processor["max_slice_nums"])
    number = 2 + 3  # <image_id>, up to three digits, </image_id>
    return (1 + slices) * (int(config["query_num"]) + 2) + slices * LINE_BREAK + number + LINE_BREAK


def phi3_v(config: Settings, processor: Settings) -> int:
    """The whole image and its crops of 12 x 12 tokens, whose rows each end with one token more."""
    crops = int(processor["num_crops"])
    pairs = [(rows, columns) for rows in range(1, crops + 1) for columns in range(1, crops // rows + 1)]
    detail = max(12 * rows * (12 * columns + 1) for rows, columns in pairs)
    between = 1
    return detail + between + 12 * 13 + LINE_BREAK


def _crop_patches(config: Settings, processor: Settings) -> tuple[int, int]:
    """Rows and columns of patches."""
    if "shortest_edge" not in processor.get("size", {}) or "crop_size" not in processor:
        raise ConversionError(
            "the engine prepares images for LLaVA as CLIP does, and preprocessor_config.json lacks its "
            "size.shortest_edge and crop_size: choose a model with a CLIP vision tower"
        )
    crop, patch = processor["crop_size"], config["vision_config"]["patch_size"]
    return int(crop["height"]) // patch, int(crop["width"]) // patch


def _class_token(config: Settings) -> int:
    return 1 if config.get("vision_feature_select_strategy") == "full" else 0


def _pixel_limits(processor: Settings) -> tuple[int, int]:
    """As the engine reads them, with its defaults."""
    size = processor.get("size") or {}
    least, most = processor.get("min_pixels"), processor.get("max_pixels")
    if least is None and most is None:
        least, most = size.get("shortest_edge"), size.get("longest_edge")
    return least or 3136, most or 12_845_056
