"""Writes the card of a converted model that is to be published."""

import json
from pathlib import Path
from typing import Any

from export.outcome import REPORT_FILE, verdict
from service.manifest import Manifest, read_manifest

FORMATS = {"int8": "8-bit integers (NNCF)", "int4": "4-bit integers (NNCF)", "fp16": "16-bit floats"}


def write_card(folder: Path, repo_id: str, license_id: str | None, base_model: str | None) -> str:
    """The card's text, in Markdown: what the model is, how far it is from its source, how to serve it."""
    manifest = read_manifest(folder)
    parts = [
        _front_matter(manifest, license_id, base_model),
        _introduction(manifest, repo_id, license_id, base_model),
        _serving(manifest, repo_id),
    ]
    report = folder / REPORT_FILE
    if report.is_file():
        parts.append(_quality(json.loads(report.read_bytes())))
    parts.append(_hardware(manifest))
    return "\n".join(parts)


def _front_matter(manifest: Manifest, license_id: str | None, base_model: str | None) -> str:
    library = "openvino" if manifest.engine == "openvino" else "transformers"
    lines = ["---", f"library_name: {library}", f"pipeline_tag: {manifest.task}"]
    if license_id is not None:
        lines.append(f"license: {license_id}")
    if base_model is not None:
        lines += [f"base_model: {base_model}", "base_model_relation: quantized"]
    lines += ["tags:", *(f"- {tag}" for tag in (library, manifest.weight_format, "tiber-serve")), "---", ""]
    return "\n".join(lines)


def _introduction(manifest: Manifest, repo_id: str, license_id: str | None, base_model: str | None) -> str:
    source = manifest.source
    revision = f" at revision `{source.revision}`" if source.revision else ""
    groups = f", in groups of {manifest.group_size}" if manifest.group_size else ""
    tools = ", ".join(f"{name} {version}" for name, version in sorted(manifest.tool_versions.items()))
    return f"""# {repo_id}

`{base_model or source.identity}` converted by tiber-serve for {manifest.engine}.

| | |
| --- | --- |
| source | {source.kind} `{source.identity}`{revision} |
| architecture | {manifest.architecture} |
| weights | {manifest.weight_format}: {FORMATS.get(manifest.weight_format, manifest.weight_format)}{groups} |
| context | {manifest.context_length} tokens, prompt and answer together |
| made for | {manifest.device} |
| license | {license_id or "not known: see the source model"} |
| made with | {tools} |
"""


def _serving(manifest: Manifest, repo_id: str) -> str:
    name = repo_id.partition("/")[2]
    get = f"hf download {repo_id} --local-dir {name}"
    if manifest.engine != "openvino":
        return f"## Serving\n\n    {get}\n    vllm serve {name}\n"
    pipeline = "LLMPipeline" if manifest.task == "text-generation" else "VLMPipeline"
    return f"""## Serving

With tiber-serve:

    {get}
    printf '[[models]]\\npath = "{name}"\\n' > tiber-serve.toml
    tiber-serve serve

With openvino-genai:

    import openvino_genai
    pipeline = openvino_genai.{pipeline}("{name}", "{manifest.device}")
    print(pipeline.generate("Hello", max_new_tokens=64))
"""


def _quality(report: dict[str, Any]) -> str:
    lines = ["## Quality against the source model", "", "| measure | value |", "| --- | --- |"]
    measures = report.get("measures", {})
    lines += [f"| {name.replace('_', ' ')} | {value:.5g} |" for name, value in measures.items()]
    result = {
        "passed": "Within every limit of its weight format.",
        "accepted": "**Beyond a limit of its weight format**, and published all the same.",
        "failed": "**Beyond a limit of its weight format.**",
    }.get(str(verdict(report)), "Compared with no limits.")
    return "\n".join((*lines, "", f"{result} `{REPORT_FILE}` has the rest.", ""))


def _hardware(manifest: Manifest) -> str:
    note = manifest.hardware_note
    if note is None and manifest.device != "CPU":
        note = f"not verified on hardware: made for {manifest.device}, tried on a CPU where there was none"
    return f"## Hardware\n\n{note or 'Tried on a CPU after the conversion: it loads and generates.'}\n"
