"""Each vision-language architecture, from tiny random weights through the conversion to the service."""

import base64
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from export.vision_recipes import RECIPES
from service.manifest import Manifest, read_manifest
from tests.support.older_transformers import older_transformers
from tests.support.server import RunningServer, running_server

ROOT = Path(__file__).resolve().parents[2]
PRESENT = ("llava", "llava_next", "gemma3", "gemma4")
# optimum-intel 2.2 exports these with an older transformers only.
OLDER = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
ARCHITECTURES = PRESENT + OLDER
SIZES = (
    (64, 64),
    (1024, 1024),
    (1024, 512),
    (512, 1024),
    (300, 700),
    (1024, 640),
    (512, 96),
    (96, 512),
    (1, 1),
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)

CONVERT = """
import sys
from pathlib import Path
from rich.console import Console
from export.conversion import convert
from export.progress import Steps
from export.request import Request
from export.sources import FolderSource
from tests.support.tiny_vision import write_tiny_vision_model

root = Path(sys.argv[1])
for name in sys.argv[2:]:
    write_tiny_vision_model(name, root / "source" / name)
    called, output = name.replace("_", "-"), root / "converted" / name
    request = Request(name=called, output=output, weights="int8", device="CPU", force=False)
    convert(FolderSource(path=root / "source" / name), request, Steps(Console(stderr=True)))
"""

COUNT = """
import json, sys
import numpy, openvino, openvino_genai
folder, sizes = sys.argv[1], json.loads(sys.argv[2])
scheduler = openvino_genai.SchedulerConfig()
scheduler.cache_size = 1
pipeline = openvino_genai.ContinuousBatchingPipeline(folder, scheduler, "CPU")
config = openvino_genai.GenerationConfig()
config.max_new_tokens, config.do_sample, config.apply_chat_template = 1, False, False
def tokens(images):
    prompt = "a" + "<ov_genai_image_0>" * len(images) + " b"  # two tokens, with or without an image between
    [result] = pipeline.generate([prompt], images=[images], generation_config=[config])
    return result.perf_metrics.get_num_input_tokens()
alone = tokens([])
tensors = [openvino.Tensor(numpy.zeros((height, width, 3), numpy.uint8)) for width, height in sizes]
print(json.dumps([tokens([tensor]) - alone for tensor in tensors]))
"""


def run(script: str, *arguments: str | Path, first_path: Path | None = None) -> str:
    paths = [first_path, ROOT] if first_path else [ROOT]
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    root: Path

    def source(self, name: str) -> Path:
        return self.root / "source" / name

    def converted(self, name: str) -> Path:
        return self.root / "converted" / name

    def manifest(self, name: str) -> Manifest:
        return read_manifest(self.converted(name))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Every architecture made and converted; one process for all, since importing torch takes the longest."""
    root = tmp_path_factory.mktemp("vision")
    run(CONVERT, root, *PRESENT)
    run(CONVERT, root, *OLDER, first_path=older_transformers())
    return Folders(root=root)


@pytest.fixture(scope="module")
def server(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    models = sorted((folders.root / "converted").iterdir())
    config = "".join(f'[[models]]\npath = "{model}"\ncache_gib = 1\n' for model in models)
    with running_server(tmp_path_factory.mktemp("served"), config) as server:
        yield server


def picture(width: int, height: int, colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return f"<image>{base64.b64encode(file.getvalue()).decode()}</image>"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_manifest_says_what_images_cost(folders: Folders, name: str) -> None:
    manifest = folders.manifest(name)
    assert (manifest.task, manifest.architecture, manifest.weight_format) == (
        "image-text-to-text",
        name,
        "int8",
    )
    assert (manifest.context_length, manifest.eos_token_ids) == (4096, [0])
    limits = manifest.image_limits
    assert limits is not None
    assert (limits.max_width, limits.max_height) == (1024, 1024)
    assert tuple(limits.marks) == RECIPES[name].marks
    assert limits.max_images >= 4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_parts_are_those_of_the_recipe(folders: Folders, name: str) -> None:
    parts = {
        path.stem.removeprefix("openvino_") for path in folders.converted(name).glob("openvino_*_model.xml")
    }
    assert parts == set(RECIPES[name].parts)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_image_takes_more_tokens_than_the_manifest_says(folders: Folders, name: str) -> None:
    limits = folders.manifest(name).image_limits
    assert limits is not None
    counts = json.loads(run(COUNT, folders.converted(name), json.dumps(SIZES)))
    assert max(counts) <= limits.tokens_per_image
    # Line breaks are counted as two tokens and Qwen's rounding at its worst: near, and not far above.
    assert max(counts) >= 0.85 * limits.tokens_per_image, counts


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_longest_picture_is_answered_and_a_longer_one_refused(
    server: RunningServer, folders: Folders, name: str
) -> None:
    limits = folders.manifest(name).image_limits
    assert limits is not None
    ratio = round(limits.max_aspect_ratio or limits.max_width)
    side = limits.max_width // ratio * ratio
    parameters = {"max_new_tokens": 1}
    statuses = []
    with server.client() as client:
        # Small and large ones, since the engine scales them differently.
        for size in ((ratio, 1), (1, ratio), (side, side // ratio), (side // ratio, side), (ratio + 1, 1)):
            body = {"inputs": f"What is this? {picture(*size, 'red')}", "parameters": parameters}
            statuses.append(client.post(f"/{name.replace('_', '-')}/generate", json=body).status_code)
    assert statuses == [200, 200, 200, 200, 400]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_service_answers_about_pictures_and_without(server: RunningServer, name: str) -> None:
    parameters = {"max_new_tokens": 8, "ignore_eos": True, "details": True}
    answers = []
    with server.client() as client:
        for colour in ("red", "blue", None):
            shown = picture(300, 200, colour) if colour else ""
            body = {"inputs": f"What is this? {shown}", "parameters": parameters}
            answer = client.post(f"/{name.replace('_', '-')}/generate", json=body)
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())
    assert [answer["details"]["generated_tokens"] for answer in answers] == [8, 8, 8]
    log_probabilities = [[token["logprob"] for token in answer["details"]["tokens"]] for answer in answers]
    assert log_probabilities[0] != log_probabilities[1] != log_probabilities[2]  # the pictures were seen
