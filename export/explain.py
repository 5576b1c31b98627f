"""Explains a conversion before it happens."""

from collections.abc import Iterator

from export.announce import SERVED_AT_ONCE, planned_tokens
from export.catalogue import Entry
from export.errors import ConversionError
from export.groups import Layer, plan_groups
from export.memory import FORMULA, serving_need
from export.recipe import Recipe
from export.recipes import draft_model, tables
from export.request import Request
from export.resources import Need, folder_need, gguf_need, readable
from export.shape import Shape
from export.subject import Subject
from export.vision_recipes import RECIPES


def explain(subject: Subject, request: Request) -> str:
    """The recipe for `subject`, its reasons and sources, its needs, and what would happen: as text.

    Raises:
        ConfigError: when there is no recipe for what is asked.
    """
    recipe = request.recipe_for(subject.architecture, subject.model_id)
    sections = {
        "Model": _model(subject),
        "Recipe": _recipe(subject, recipe),
        "Why": (f"{reason.choice}: {reason.because} [{reason.source}]" for reason in recipe.reasons),
        "Sources": _sources(recipe),
        "Conversion needs": _conversion_needs(subject, recipe),
        "Serving needs": _serving_needs(subject, recipe),
        "What would happen": _steps(subject, recipe, request),
    }
    lines = [f"{request.name} for {request.device}, {request.weights}"]
    for title, content in sections.items():
        lines += ["", title, *(f"  {line}" for line in content)]
    return "\n".join([*lines, "", "Nothing was converted."]) + "\n"


def _model(subject: Subject) -> Iterator[str]:
    yield subject.title
    yield f"architecture: {subject.architecture or 'unknown until its config.json is read'}"
    yield f"parameters: {_known(subject.shape.parameters)}; context: {_known(subject.shape.context)} tokens"
    vision = RECIPES.get(subject.architecture or "")
    if vision is not None and vision.newest_transformers is not None:
        yield f"optimum-intel exports it with transformers {vision.newest_transformers} at most"
    if subject.entry is not None:
        yield from _entry(subject.entry)


def _entry(entry: Entry) -> Iterator[str]:
    gate = {True: "its owner must consent first", False: "free to fetch", None: "gate unknown"}[
        entry.is_gated
    ]
    yield f"licence: {entry.licence}; {gate}"
    if entry.limits_source:
        yield (
            f"limits: {entry.max_input} tokens in, {entry.max_total} in all, as the community sets them "
            f"({entry.limits_source})"
        )
    if entry.note:
        yield entry.note


def _recipe(subject: Subject, recipe: Recipe) -> Iterator[str]:
    yield recipe.summary()
    if recipe.is_int4:
        yield _groups(subject.shape, recipe)
    if recipe.is_calibrated:
        yield f"calibration text: {recipe.calibration}"
    for name, value in recipe.hints.items():
        yield f"hint for the engine, recorded and not applied by itself: {name}={value}"
    draft = draft_model(subject.model_id)
    if draft is not None:
        yield f"draft model, a hint: {draft.draft}: {draft.because}"
    if recipe.hardware_note:
        yield recipe.hardware_note
    if subject.architecture is None:
        yield "an override for its architecture may change this once its config.json is read"


def _groups(shape: Shape, recipe: Recipe) -> str:
    """The group size that a plain transformer of this shape gets."""
    if shape.hidden is None or shape.intermediate is None or shape.heads is None or shape.head_size is None:
        return "group size: found when the model is read"
    channels = sorted({shape.hidden, shape.heads * shape.head_size, shape.intermediate})
    listed = ", ".join(map(str, channels))
    layers = [Layer(name=str(channel), channel=channel, weights=channel) for channel in channels]
    try:
        plan = plan_groups(layers, recipe.group_size)
    except ConversionError as error:
        return str(error)
    left = ", ".join(layer.name for layer in plan.fallback)
    size = f"group size {plan.group_size} for channels of {listed}"
    return f"{size}; INT8 for those of {left}" if left else size


def _sources(recipe: Recipe) -> Iterator[str]:
    for key in dict.fromkeys(reason.source for reason in recipe.reasons):
        yield f"[{key}] {tables().sources[key]}"


def _conversion_needs(subject: Subject, recipe: Recipe) -> Iterator[str]:
    need = _need(subject, recipe)
    if need is None:
        yield "unknown until the model's files are listed; checked before anything heavy happens"
        return
    yield f"disk: {readable(need.disk)}{' and the download' if subject.entry else ''}"
    if recipe.engine == "openvino":
        yield f"memory: {readable(need.memory)}"
    else:
        yield "memory: computed when the files are read: from the largest weight, or from all of a GGUF file"


def _need(subject: Subject, recipe: Recipe) -> Need | None:
    parameters, size = subject.shape.parameters, subject.file_bytes
    if parameters is None or size is None:
        return None
    if not subject.is_gguf:
        return folder_need(weight_bytes=size, weights=recipe.weights, is_calibrated=recipe.is_calibrated)
    vocabulary, hidden = subject.shape.vocabulary or 0, subject.shape.hidden or 0
    return gguf_need(
        parameter_count=parameters,
        largest_tensor=subject.largest_tensor or vocabulary * hidden,
        weights=recipe.weights,
        is_calibrated=recipe.is_calibrated,
    )


def _serving_needs(subject: Subject, recipe: Recipe) -> Iterator[str]:
    entry = subject.entry
    total = (entry.max_total if entry else None) or planned_tokens(subject.shape)
    at_once = entry.concurrency if entry else SERVED_AT_ONCE
    need = serving_need(subject.shape, recipe, max_total=total, concurrency=at_once)
    if need is None:
        yield "unknown: the model's numbers are not known yet"
    else:
        yield (
            f"{readable(need.total)} = weights {readable(need.weights)} + {at_once} requests "
            f"x {total} tokens x {need.cache_per_token:,} bytes + {readable(need.overhead)}"
        )
    yield FORMULA


def _steps(subject: Subject, recipe: Recipe, request: Request) -> Iterator[str]:
    fetch = "read the files" if subject.entry is None and subject.file_bytes else "fetch the files"
    steps = [fetch, "check disk and memory"]
    if recipe.engine == "vllm":
        steps += [
            f"write a Hugging Face checkpoint with {recipe.weights} weights, for vLLM",
            "load it in transformers and generate a few tokens",
        ]
    else:
        steps += [
            "read the weights in 16 bits"
            if subject.is_gguf
            else "export to 16-bit OpenVINO through optimum-intel",
            f"compress the weights: {recipe.summary().partition(': ')[2]}",
            "check the tokenizer against OpenVINO's",
            f"generate a few tokens on the {request.device}, or on the CPU where this machine has none",
        ]
        if request.verify and not (subject.entry and subject.entry.task == "image-text-to-text"):
            steps.append("compare it with its source on a fixed set of texts")
    steps.append(f"publish {request.output}, whole or not at all")
    for number, step in enumerate(steps, 1):
        yield f"{number}. {step}"


def _known(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
