"""The bare engine is asked for the same as the service's."""

from typing import Any

import openvino_genai as genai
import pytest

from benchmarks.raw import RawEngine, RawJob
from service.domain import GenerationRequest, Sampling
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.config import EngineConfig

CONFIG = EngineConfig(
    backend="openvino",
    model_path="model",
    device="CPU",
    cache_gib=3,
    max_batched_tokens=200,
    max_running=40,
    prefix_caching=True,
    properties={"INFERENCE_PRECISION_HINT": "f32"},
)


class StoppedError(Exception):
    """The fake pipeline goes no further."""


class RecordingPipeline:
    """Stands in for ContinuousBatchingPipeline; keeps what it is told."""

    def __init__(
        self, path: str, scheduler: "genai.SchedulerConfig", device: str, properties: dict[str, str]
    ) -> None:
        made.append(self)
        self.loaded = (path, scheduler.to_string(), device, properties)
        self.asked: dict[str, Any] = {}
        self.prompt: list[list[int]] = []

    def get_config(self) -> "genai.GenerationConfig":
        config = genai.GenerationConfig()
        config.set_eos_token_id(2)
        return config

    def add_request(self, _request_id: int, prompt: Any, config: "genai.GenerationConfig") -> None:
        self.prompt = prompt.data.tolist()
        self.asked = {
            name: str(getattr(config, name)) for name in dir(config) if not callable(getattr(config, name))
        }
        raise StoppedError


made: list[RecordingPipeline] = []


def test_both_sides_load_alike_and_ask_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(genai, "ContinuousBatchingPipeline", RecordingPipeline)
    sampling = Sampling(max_new_tokens=9, ignore_eos=True)

    with pytest.raises(StoppedError):
        OpenVINOBackend(CONFIG).add(1, GenerationRequest(prompt_ids=[5, 6], sampling=sampling))
    with pytest.raises(StoppedError):
        RawEngine(CONFIG).run(RawJob(prompts=[[5, 6]], max_new_tokens=9, concurrency=1))

    served, bare = made
    assert served.loaded == bare.loaded
    assert served.prompt == bare.prompt == [[5, 6]]
    assert bare.asked["max_new_tokens"] == "9"
    assert served.asked == bare.asked
