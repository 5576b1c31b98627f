"""Measures what the weights of each group of layers bring of the error, alone."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.progress import Steps
from export.publish import MODEL_FILE
from export.quality.constants import constant_values
from export.quality.errors import NotVerifiableError
from export.quality.measures import Positions, compare, join
from export.quality.openvino_model import EXACT, OpenVinoModel
from export.quality.reference import unquantised_from_gguf
from export.quality.report import LayerGroup
from export.quality.texts import Sample, encode_passages, read_passages

if TYPE_CHECKING:
    import openvino

EVERY = 6  # one passage of so many: the groups are compared with one another, not held against a limit
RANGES = 3  # of blocks: the first, the middle and the last ones lose differently
WEIGHT_INPUT = {"MatMul": 1, "Gather": 0}
UNPACKING = {"Convert", "Subtract", "Multiply", "Reshape"}
BLOCK = re.compile(r"(?:layers|layer|blocks|blk|h)\.(\d+)\.")
ATTENTION = re.compile(r"attn|attention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A weight where it is used: `user` reads `root`, at which its unpacking from `name` ends."""

    user: "openvino.Node"
    root: "openvino.Node"
    name: str
    shape: tuple[int, ...]


def measure_layers(folder: Path, source: Path, scratch: Path, steps: Steps) -> list[LayerGroup]:
    """For each group, run the source with that group's weights as the converted folder holds them.

    All runs are in float32: what is measured is the weights, not the arithmetic of serving.

    Raises:
        NotVerifiableError: when the two models are not built alike.
    """
    import openvino

    core = openvino.Core()
    unquantised = _unquantised(source, scratch, steps) / MODEL_FILE
    converted = find_matrices(core.read_model(folder / MODEL_FILE))
    groups = group_matrices(
        [matrix.name for matrix in find_matrices(core.read_model(unquantised))], converted
    )
    samples = encode_passages(read_passages(), folder)[::EVERY]
    with steps.step("Measuring groups of layers") as advance:
        exact = OpenVinoModel(unquantised, "CPU", EXACT)
        measured = []
        for done, (group, indices) in enumerate(groups.items(), start=1):
            model = core.read_model(unquantised)
            _put(find_matrices(model), converted, indices)
            measured.append(_measure(group, indices, converted, exact, model, samples))
            advance(done / len(groups))
    return measured


def find_matrices(model: "openvino.Model") -> list[Matrix]:
    """Every constant matrix that a product or a table look-up reads, in the order of execution."""
    found = []
    for node in model.get_ordered_ops():
        if node.get_type_name() not in WEIGHT_INPUT:
            continue
        root = node.input_value(WEIGHT_INPUT[node.get_type_name()]).get_node()
        constant = root
        while constant.get_type_name() in UNPACKING:
            constant = constant.input_value(0).get_node()
        shape = tuple(root.get_output_partial_shape(0).to_shape()) if _is_static(root) else ()
        if constant.get_type_name() == "Constant" and sum(side > 1 for side in shape) > 1:
            name = f"{node.get_type_name()} {constant.get_friendly_name()} {node.get_friendly_name()}"
            found.append(Matrix(user=node, root=root, name=name, shape=shape))
    return found


def group_matrices(names: Sequence[str], converted: Sequence[Matrix]) -> dict[str, list[int]]:
    """The places of each group's matrices: embedding, attention and MLP of each range of blocks, head.

    Raises:
        NotVerifiableError: when the converted model has other matrices than are named.
    """
    if len(names) != len(converted):
        raise NotVerifiableError(
            f"the source has {len(names)} weight matrices and the converted model {len(converted)}: "
            "it was converted by another version; convert it again to measure its layers"
        )
    blocks = [int(match.group(1)) for name in names if (match := BLOCK.search(name))]
    count = max(blocks, default=-1) + 1
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(group_name(name, count), []).append(index)
    return groups


def group_name(name: str, blocks: int) -> str:
    """The group of one matrix in a model of so many blocks."""
    match = BLOCK.search(name)
    if match is None:
        return "embedding" if name.startswith("Gather ") else "head"
    part = min(int(match.group(1)) * RANGES // blocks, RANGES - 1)
    first, last = -(-part * blocks // RANGES), -(-(part + 1) * blocks // RANGES) - 1
    kind = "attention" if ATTENTION.search(name) else "MLP"
    return f"{kind}, blocks {first} to {last}"


def _unquantised(source: Path, scratch: Path, steps: Steps) -> Path:
    place = scratch / "unquantised"
    if source.is_file():
        return unquantised_from_gguf(source, place, steps)
    from export.optimum_intel import export_model, require_extra

    require_extra()
    with steps.step("Exporting the source through optimum-intel"):
        export_model(source, place, "text-generation")
    return place


def _put(source: Sequence[Matrix], converted: Sequence[Matrix], indices: Sequence[int]) -> None:
    """Let the source's users of these matrices read the converted model's values."""
    from openvino import opset13 as opset

    for index in indices:
        ours, theirs = source[index], converted[index]
        if ours.shape != theirs.shape:
            raise NotVerifiableError(
                f"{ours.name} is {ours.shape} in the source and {theirs.shape} in the converted model: "
                "it was converted by another version; convert it again to measure its layers"
            )
        values = constant_values(theirs.root).astype(np.float32)
        place = ours.user.input(WEIGHT_INPUT[ours.user.get_type_name()])
        place.replace_source_output(opset.constant(values).output(0))


def _measure(
    group: str,
    indices: Sequence[int],
    converted: Sequence[Matrix],
    exact: OpenVinoModel,
    model: "openvino.Model",
    samples: Sequence[Sample],
) -> LayerGroup:
    changed = OpenVinoModel(model, "CPU", EXACT)
    parts: list[Positions] = []
    squares = 0.0
    for sample in samples:
        ours, theirs = exact.logits(sample.ids)[:-1], changed.logits(sample.ids)[:-1]
        parts.append(compare(ours, theirs, sample.ids[1:]))
        squares += float(squared_logit_error(ours, theirs).sum())
    positions = join(parts)
    return LayerGroup(
        group=group,
        weights=sum(math.prod(converted[index].shape) for index in indices),
        kl_mean=float(positions.kl.mean()),
        rms_logit_error=math.sqrt(squares / len(positions.kl)),
        top1_agreement=float(positions.agrees.mean()),
    )


def squared_logit_error(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """For logits [T, V] the mean square of the differences, [T]; a shift of all means nothing."""
    difference = theirs - ours
    return np.asarray(difference.var(axis=1), dtype=np.float64)


def _is_static(node: "openvino.Node") -> bool:
    return bool(node.get_output_partial_shape(0).is_static)
