"""Compresses and describes the parts of a vision-language model."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.architecture import context_length, eos_token_ids, read_config, read_json
from export.errors import ConversionError
from export.image_tokens import MAX_SIDE
from export.progress import Steps
from export.recipe import Recipe as WeightRecipe
from export.recipes import choose_recipe
from export.request import Converted
from export.vision_recipes import LARGE_TOWER_WEIGHTS, RECIPES, Recipe, Treatment
from service.manifest import ImageLimits, WeightFormat
from service.manifest import Source as SourceRecord

if TYPE_CHECKING:
    import openvino

    from export.quantise import Compression

TEXT_ROOM = 64  # tokens of question and answer that must fit beside the images


def check_convertible(config: dict[str, Any], model: str) -> None:
    """Refuse what optimum-intel would, before the weights are read.

    Raises:
        ConversionError: when the model is code of its own, or transformers is too new; saying how to
            export it elsewhere.
    """
    kind = config["model_type"]
    recipe = RECIPES[kind]
    elsewhere = (
        f"optimum-cli export openvino --model {model} --task image-text-to-text --weight-format fp16 "
        "{option}DIR in an environment of its own with transformers=={version}, then convert DIR here"
    )
    if recipe.needs_own_code:
        do = elsewhere.format(option="--trust-remote-code ", version=recipe.newest_transformers)
        raise ConversionError(
            f"{model} ({kind}) runs Python code of its own, which is never done here: run {do}"
        )
    if recipe.newest_transformers is None:
        return
    from importlib.metadata import version

    from packaging.version import Version

    present = version("transformers")
    if Version(present) > Version(recipe.newest_transformers):
        do = elsewhere.format(option="", version="4.57.6")
        raise ConversionError(
            f"optimum-intel exports {kind} with transformers {recipe.newest_transformers} at most, and "
            f"{present} is installed: run {do}"
        )


def compress_parts(
    exported: Path, folder: Path, architecture: Recipe, recipe: WeightRecipe, steps: Steps
) -> "Compression":
    """Write each part of the model in `exported` to `folder`; say what came of the language model's recipe.

    Raises:
        ConversionError: when a part is missing.
    """
    import openvino

    from export.quantise import compress

    core = openvino.Core()
    done: dict[str, Compression] = {}
    for part, treatment in architecture.parts.items():
        path = exported / f"openvino_{part}.xml"
        if not path.is_file():
            raise ConversionError(f"the export has no {path.name}: optimum-intel has changed its parts")
        model = core.read_model(path)
        wanted = part_format(treatment, recipe.weights, weight_count(model))
        chosen = recipe if treatment == "asked" else choose_recipe(device=recipe.device, weights=wanted)
        with steps.step(f"Compressing {part.replace('_', ' ')} to {wanted.upper()}"):
            model, done[part] = compress(model, chosen)
            openvino.save_model(model, folder / path.name, compress_to_fp16=wanted == "fp16")
    return done["language_model"]


def part_format(treatment: Treatment, weights: WeightFormat, count: int) -> WeightFormat:
    """The weight format of a part of `count` weights where the model's is `weights`."""
    if treatment == "asked" or weights in ("fp16", "bf16"):
        return weights
    eight_bits: WeightFormat = "int8-sym" if weights == "int8-sym" else "int8"
    return eight_bits if treatment == "int8" or count >= LARGE_TOWER_WEIGHTS else "fp16"


def weight_count(model: "openvino.Model") -> int:
    """How many numbers the model's constants hold."""
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(math.prod(node.get_output_shape(0)) for node in constants)


def describe_vision(folder: Path, record: SourceRecord, group_size: int | None) -> Converted:
    """What the manifest says of the converted model in `folder`.

    Raises:
        ConversionError: when its configuration lacks something, or one image fills its context.
    """
    config = _filled(folder)
    kind = str(config["model_type"])
    context = context_length(config, record.identity)
    return Converted(
        source=record,
        task="image-text-to-text",
        architecture=kind,
        group_size=group_size,
        context_length=context,
        eos_token_ids=eos_token_ids(read_json(folder / "generation_config.json"), config, record.identity),
        image_limits=image_limits(
            RECIPES[kind], config, read_json(folder / "preprocessor_config.json"), context
        ),
    )


def image_limits(
    recipe: Recipe, config: dict[str, Any], processor: dict[str, Any], context: int
) -> ImageLimits:
    """The limits of a model with these configurations and a context of so many tokens.

    Raises:
        ConversionError: when a value that the count needs is missing, or one image fills the context.
    """
    try:
        tokens = recipe.tokens_per_image(config, processor)
    except KeyError as error:
        raise ConversionError(
            f"config.json and preprocessor_config.json say no {error.args[0]}: get the whole model"
        ) from error
    room = (context - TEXT_ROOM) // tokens
    if room < 1:
        raise ConversionError(
            f"an image takes up to {tokens} tokens and the model's context is {context}: choose another model"
        )
    return ImageLimits(
        max_images=min(recipe.max_images, room),
        max_width=MAX_SIDE,
        max_height=MAX_SIDE,
        tokens_per_image=tokens,
        max_aspect_ratio=recipe.max_aspect_ratio and recipe.max_aspect_ratio(config, processor),
        marks=list(recipe.marks),
        engine_appends=recipe.engine_appends,
    )


def _filled(folder: Path) -> dict[str, Any]:
    """config.json with the defaults that it leaves out, where transformers itself knows the model."""
    config = read_config(folder)
    if RECIPES[config["model_type"]].needs_own_code:
        return config
    from transformers import AutoConfig

    return dict(AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).to_dict())
