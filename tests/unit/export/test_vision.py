import json
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from export import vision
from export.errors import ConversionError
from export.vision import check_convertible, image_limits, part_format
from export.vision_recipes import LARGE_TOWER_WEIGHTS, RECIPES, Treatment
from service.manifest import WeightFormat

SMALL, LARGE = LARGE_TOWER_WEIGHTS - 1, LARGE_TOWER_WEIGHTS


@pytest.fixture
def with_transformers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def install(version: str) -> None:
        monkeypatch.setattr(
            "importlib.metadata.version",
            lambda name: version if name == "transformers" else installed_version(name),
        )

    return install


@pytest.mark.parametrize(
    ("treatment", "weights", "count", "wanted"),
    [
        ("asked", "int4", SMALL, "int4"),
        ("asked", "fp16", LARGE, "fp16"),
        ("int8", "int4", SMALL, "int8"),
        ("int8", "fp16", SMALL, "fp16"),
        ("by size", "int8", SMALL, "fp16"),
        ("by size", "int8", LARGE, "int8"),
        ("by size", "int4", LARGE, "int8"),
        ("by size", "fp16", LARGE, "fp16"),
        ("by size", "int8-sym", LARGE, "int8-sym"),
        ("int8", "bf16", SMALL, "bf16"),
    ],
)
def test_each_part_has_its_own_weight_format(
    treatment: Treatment, weights: WeightFormat, count: int, wanted: WeightFormat
) -> None:
    assert part_format(treatment, weights, count) == wanted


def test_every_recipe_has_a_language_model_as_asked_for_and_marks() -> None:
    for recipe in RECIPES.values():
        assert recipe.parts["language_model"] == "asked"
        assert recipe.marks
        assert "" not in recipe.marks


def test_what_the_engine_writes_behind_an_image_reaches_the_manifest() -> None:
    """LLaVA's template writes a line break behind an image too; Gemma's does not."""
    processor = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    llava = image_limits(RECIPES["llava"], {"vision_config": {"patch_size": 14}}, processor, context=512)
    assert (llava.engine_appends, llava.marks) == ("\n", ["<image>"])
    gemma = image_limits(RECIPES["gemma3"], {"mm_tokens_per_image": 4}, {}, context=512)
    assert gemma.engine_appends == ""


@pytest.mark.parametrize("kind", ["internvl_chat", "minicpmv", "phi3_v"])
def test_a_models_own_code_is_never_run_and_the_way_around_is_said(kind: str) -> None:
    with pytest.raises(ConversionError, match=r"optimum-cli export openvino --model m .*--trust-remote-code"):
        check_convertible({"model_type": kind}, "m")


def test_a_transformers_that_is_too_new_is_refused_before_the_export(
    with_transformers: Callable[[str], None],
) -> None:
    with_transformers("5.5.4")
    with pytest.raises(ConversionError, match=r"transformers 5\.0 at most, and 5\.5\.4 .*==4\.57\.6"):
        check_convertible({"model_type": "qwen2_5_vl"}, "m")
    check_convertible({"model_type": "llava"}, "m")
    with_transformers("4.57.6")
    check_convertible({"model_type": "qwen2_5_vl"}, "m")


def test_no_more_images_than_the_context_has_room_for() -> None:
    limits = image_limits(RECIPES["gemma3"], {"mm_tokens_per_image": 256}, {}, context=1024)
    assert (limits.tokens_per_image, limits.max_images) == (262, 3)
    assert image_limits(RECIPES["gemma3"], {"mm_tokens_per_image": 256}, {}, context=8192).max_images == 8


def test_a_context_that_one_image_fills_is_refused() -> None:
    with pytest.raises(ConversionError, match="up to 262 tokens and the model's context is 300"):
        image_limits(RECIPES["gemma3"], {"mm_tokens_per_image": 256}, {}, context=300)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConversionError, match="say no mm_tokens_per_image"):
        image_limits(RECIPES["gemma3"], {}, {}, context=8192)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(ConversionError, match=r"no openvino_language_model\.xml"):
        vision.compress_parts(tmp_path, tmp_path, RECIPES["llava"], "int8", steps=None)  # type: ignore[arg-type]
