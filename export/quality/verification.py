"""Compares a converted folder with its source."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from export.progress import Steps
from export.publish import MODEL_FILE
from export.quality.errors import NotVerifiableError
from export.quality.greedy import NEW_TOKENS, agreeing_prefixes, pick_prompts
from export.quality.measures import Positions, compare, join
from export.quality.models import LanguageModel
from export.quality.need import choose_exactness, parameter_count
from export.quality.openvino_model import SERVED, OpenVinoModel
from export.quality.reference import Reference, choose_runtime, open_reference
from export.quality.report import GreedyPrefixes, Machine, Measures, Report, Runner, TextSet
from export.quality.runtime import Runtime
from export.quality.speed import Timed, decode_tokens_per_s
from export.quality.summary import histogram, summarise
from export.quality.texts import KINDS, MAX_TOKENS, Sample, encode_passages, read_passages, set_sha256
from export.quality.thresholds import check_measures
from export.resources import available_memory
from export.smoke import usable_device
from export.versions import tool_versions
from service.manifest import Manifest, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Both models, timed."""

    reference: Reference
    source: Timed
    converted: Timed
    served: OpenVinoModel
    device: str


def verify(folder: Path, source: Path, scratch: Path, steps: Steps, wanted: Runtime | None = None) -> Report:
    """Compare the model in `folder` with its source, a GGUF file or a Hugging Face folder.

    Only one passage's logits of each model are in memory at a time. `scratch` is a folder to be made for
    files that are needed meanwhile, `wanted` what is to run the source.

    Raises:
        ConfigError: when `wanted` can't run this source.
        NotVerifiableError: when the two can't be compared here.
    """
    began_s = time.monotonic()
    manifest = read_manifest(folder)
    refuse_unverifiable(manifest)
    parameters = parameter_count(source)
    samples = encode_passages(read_passages(), folder)
    runtime = choose_runtime(source, wanted)
    exact = choose_exactness(
        folder, source, runtime=runtime, parameters=parameters, available=available_memory()
    )
    reference = open_reference(source, scratch, steps, runtime=runtime, exact=exact)
    pair = _open(folder, reference, manifest, steps)
    parts = _compare_all(pair, samples, steps)
    prompts = pick_prompts(samples)
    with steps.step("Writing greedily") as advance:
        lengths = agreeing_prefixes(pair.source, pair.converted, prompts, advance)
    with steps.step("Timing both models"):
        runners = _runners(pair, folder, prompts[0])
    measures = summarise(join(parts))
    return Report(
        model=manifest.name,
        weight_format=manifest.weight_format,
        source=manifest.source,
        against=source.name,
        converted_at=manifest.created_at,
        verified_at=datetime.now(UTC),
        texts=_text_set(samples),
        reference=runners[0],
        converted=runners[1],
        measures=measures,
        by_kind=_by_kind(parts, samples),
        kl_histogram=histogram(join(parts).kl),
        greedy=GreedyPrefixes(limit=NEW_TOKENS, lengths=list(lengths)),
        checks=check_measures(measures, manifest.weight_format, parameters),
        seconds=time.monotonic() - began_s,
        machine=_machine(),
        tool_versions=tool_versions(with_torch=pair.reference.runtime == "transformers"),
    )


def refuse_unverifiable(manifest: Manifest) -> None:
    """Refuse what this comparison is not made for.

    Raises:
        NotVerifiableError: saying what.
    """
    if manifest.task != "text-generation":
        raise NotVerifiableError("vision-language models are not compared with their source yet")
    if manifest.engine != "openvino":
        raise NotVerifiableError(
            f"a folder for {manifest.engine} is checked when it is converted, not by this comparison"
        )


def _open(folder: Path, reference: Reference, manifest: Manifest, steps: Steps) -> _Pair:
    device = usable_device(manifest.device)
    with steps.step(f"Loading the converted model on {device}"):
        served = OpenVinoModel(folder / MODEL_FILE, device, SERVED.get(device, {}))
    return _Pair(
        reference=reference,
        source=Timed(reference.model),
        converted=Timed(served),
        served=served,
        device=device,
    )


def _compare_all(pair: _Pair, samples: Sequence[Sample], steps: Steps) -> list[Positions]:
    parts = []
    total = sum(len(sample.ids) for sample in samples)
    done = 0
    with steps.step(f"Comparing with the source on {len(samples)} texts") as advance:
        for sample in samples:
            parts.append(compare_sample(pair.source, pair.converted, sample))
            done += len(sample.ids)
            advance(done / total)
    return parts


def compare_sample(source: LanguageModel, converted: LanguageModel, sample: Sample) -> Positions:
    """Compare on one text, each token of which but the first is to be foretold."""
    ids = sample.ids
    return compare(source.logits(ids)[:-1], converted.logits(ids)[:-1], ids[1:])


def _runners(pair: _Pair, folder: Path, prompt: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Runner]:
    reference = pair.reference
    properties = pair.served.properties()
    return [
        Runner(
            runtime=reference.runtime,
            device="CPU",
            dtype=reference.dtype,
            properties={},
            size_bytes=reference.size_bytes,
            prefill_tokens_per_s=pair.source.tokens_per_s,
            decode_tokens_per_s=decode_tokens_per_s(reference.model, prompt),
        ),
        Runner(
            runtime="openvino",
            device=pair.device,
            dtype=properties.get("INFERENCE_PRECISION_HINT", "the device's own"),
            properties=properties,
            size_bytes=sum(file.stat().st_size for file in folder.glob("openvino_model.*")),
            prefill_tokens_per_s=pair.converted.tokens_per_s,
            decode_tokens_per_s=decode_tokens_per_s(pair.served, prompt),
        ),
    ]


def _by_kind(parts: Sequence[Positions], samples: Sequence[Sample]) -> dict[str, Measures]:
    grouped = {
        kind: [part for part, sample in zip(parts, samples, strict=True) if sample.kind == kind]
        for kind in KINDS
    }
    return {kind: summarise(join(group)) for kind, group in grouped.items()}


def _text_set(samples: Sequence[Sample]) -> TextSet:
    return TextSet(
        sha256=set_sha256(),
        passages=len(samples),
        tokens=sum(len(sample.ids) for sample in samples),
        cut=sum(len(sample.ids) == MAX_TOKENS for sample in samples),
        max_tokens=MAX_TOKENS,
    )


def _machine() -> Machine:
    return Machine(processor=_processor(), cores=len(os.sched_getaffinity(0)), load=os.getloadavg()[0])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
