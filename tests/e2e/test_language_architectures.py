"""Each language model architecture, from tiny random weights through the conversion to the service."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from service.doctor import read_cpu
from service.manifest import read_manifest
from tests.e2e import language_table
from tests.e2e.language_table import DESCRIPTIONS, Row
from tests.support.language_text import TEXT
from tests.support.server import running_server

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = tuple(DESCRIPTIONS)
COMPRESSED = ("int8", "int4")
TOOLS = ("optimum-intel", "transformers", "nncf", "openvino-genai")
FULLY_CHECKED = "gemma3_text"

# In units of the logits' standard deviation; `typical` is the median token's root mean square.
# docs/text-models.md has what was measured. A model with its two layers exchanged, or the rows of one
# matrix in reverse, is at least 0.4 off.
FP16_LARGEST, INT8_TYPICAL, INT4_TYPICAL = 0.02, 0.04, 0.35
LOGPROB = 0.01

# As the reference is computed; the service's own properties for a CPU trade exactness for speed.
PROPERTIES = (
    'properties = { INFERENCE_PRECISION_HINT = "f32", KV_CACHE_PRECISION = "f32", '
    'DYNAMIC_QUANTIZATION_GROUP_SIZE = "0" }'
)
SERVED_AT_ONCE = 9  # engines, each a process of a quarter of a GiB

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)


def run(*arguments: str | Path) -> None:
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every architecture made, converted to every format, and compared with transformers."""
    root = tmp_path_factory.mktemp("language")
    run("-m", "tests.support.language_agreement", root, *ARCHITECTURES)
    return root


@pytest.fixture(scope="module")
def figures(root: Path) -> Figures:
    return json.loads((root / "figures.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], dict[str, Any]]:
    """What the service answers first to the text of the comparison: several models in one service."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for begin in range(0, len(ARCHITECTURES), SERVED_AT_ONCE):
        names = ARCHITECTURES[begin : begin + SERVED_AT_ONCE]
        for weights in COMPRESSED:
            found |= ask(root, names, weights, tmp_path_factory.mktemp("served"))
    return found


def ask(
    root: Path, names: Sequence[str], weights: str, folder: Path
) -> dict[tuple[str, str], dict[str, Any]]:
    models = [root / "converted" / name / weights for name in names]
    config = "".join(f'[[models]]\npath = "{model}"\ncache_gib = 1\n{PROPERTIES}\n' for model in models)
    body = {"inputs": TEXT, "parameters": {"max_new_tokens": 1, "ignore_eos": True, "details": True}}
    found = {}
    with running_server(folder, config, is_ready=False) as server, server.client() as client:
        server.wait_ready(timeout_s=120)
        for name, model in zip(names, models, strict=True):
            answer = client.post(f"/{read_manifest(model).name}/generate", json=body)
            assert answer.status_code == 200, (name, answer.text)
            [found[name, weights]] = answer.json()["details"]["tokens"]
    return found


def is_as_exact(figures: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a model's figures are within the tolerances."""
    return (
        figures["fp16"]["largest"] < FP16_LARGEST
        and figures["int8"]["typical"] < INT8_TYPICAL
        and figures["int4"]["typical"] < INT4_TYPICAL
    )


def is_first_choice(token: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether the service answered what the converted model's own logits say."""
    return token["id"] == expected["token"] and abs(token["logprob"] - expected["logprob"]) < LOGPROB


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_manifest_tells_the_architecture_and_the_format(root: Path, name: str) -> None:
    for weights in COMPRESSED:
        manifest = read_manifest(root / "converted" / name / weights)
        assert (manifest.task, manifest.architecture, manifest.weight_format) == (
            "text-generation",
            name,
            weights,
        )
        assert (manifest.context_length, manifest.eos_token_ids) == (512, [0])
        assert manifest.group_size == {"int8": None, "int4": 64}[weights]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_converted_model_agrees_with_transformers(figures: Figures, name: str) -> None:
    assert is_as_exact(figures[name]), figures[name]


@pytest.mark.parametrize("mistake", ["layers exchanged", "one matrix reversed"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_mistaken_conversion_would_not_pass_for_any_format(
    figures: Figures, name: str, mistake: str
) -> None:
    mistaken = figures[name][mistake]
    for weights in ("fp16", "int8", "int4"):
        assert not is_as_exact({**figures[name], weights: mistaken}), weights


@pytest.mark.parametrize("weights", COMPRESSED)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_service_answers_what_the_converted_model_says(
    answers: Mapping[tuple[str, str], dict[str, Any]], figures: Figures, name: str, weights: str
) -> None:
    assert is_first_choice(answers[name, weights], figures[name][weights])


def test_the_command_line_writes_the_same_weights(root: Path, tmp_path: Path) -> None:
    """All formats above start from one export; this conversion goes the whole way in its own process."""
    output = tmp_path / "converted"
    run("export/convert.py", root / "source" / FULLY_CHECKED, "--output", output, "--weights", "int4")
    weights = (output / "openvino_model.bin").read_bytes()
    assert weights == (root / "converted" / FULLY_CHECKED / "int4" / "openvino_model.bin").read_bytes()


def test_the_table_lists_every_architecture(
    request: pytest.FixtureRequest,
    figures: Figures,
    answers: Mapping[tuple[str, str], dict[str, Any]],
) -> None:
    document = language_table.DOCUMENT
    text = document.read_text(encoding="utf-8")
    if request.config.getoption("--write-language-table", default=False):
        text = language_table.render(
            text,
            [row(name, figures[name], answers) for name in ARCHITECTURES],
            date=datetime.now(UTC).date().isoformat(),
            machine=f"{read_cpu().model}, {os.cpu_count()} cores, Python {platform.python_version()}",
            versions=", ".join(f"{tool} {version(tool)}" for tool in TOOLS),
        )
        document.write_text(text, encoding="utf-8")
    advice = f"docs/text-models.md is out of date; write it with {language_table.COMMAND}"
    assert language_table.documented_architectures(text) == list(ARCHITECTURES), advice
    assert language_table.unfavourable_rows(text) == [], advice


def row(
    name: str,
    figures: Mapping[str, Mapping[str, Any]],
    answers: Mapping[tuple[str, str], dict[str, Any]],
) -> Row:
    return Row(
        architecture=name,
        fp16_largest=figures["fp16"]["largest"],
        int8_typical=figures["int8"]["typical"],
        int4_typical=figures["int4"]["typical"],
        is_converted=is_as_exact(figures),
        is_served=all(is_first_choice(answers[name, weights], figures[weights]) for weights in COMPRESSED),
    )
