"""What a backend says of its KV cache: the fake one, and OpenVINO with the real model."""

from collections.abc import Iterator

import pytest

from service.domain import GenerationRequest, Sampling
from service.engine.config import EngineConfig
from service.engine.protocol import Backend, HasCache
from service.engine.registry import load_backend


@pytest.fixture(scope="module", params=["fake", "openvino", "openvino-lookup"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    path = "" if request.param == "fake" else str(request.getfixturevalue("default_model"))
    config = EngineConfig(
        backend=request.param,
        model_path=path,
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=request.param != "openvino-lookup",
        prompt_lookup=5 if request.param == "openvino-lookup" else None,
        properties={},
    )
    loaded = load_backend(config)
    yield loaded
    loaded.close()


def add(backend: Backend, request_id: int) -> None:
    prompt_ids = [1000 + request_id + offset for offset in range(200)]
    sampling = Sampling(max_new_tokens=20, ignore_eos=True)
    backend.add(request_id, GenerationRequest(prompt_ids=prompt_ids, sampling=sampling))


def test_more_requests_hold_more_of_the_cache_and_none_nothing(backend: Backend) -> None:
    assert isinstance(backend, HasCache)
    assert backend.cache_ratio() == 0
    add(backend, 1)
    backend.step()
    of_one = backend.cache_ratio()
    assert 0 < of_one < 0.5
    add(backend, 2)
    backend.step()
    backend.step()
    assert of_one < backend.cache_ratio() < 0.5
    while backend.running():
        backend.step()
    assert backend.cache_ratio() == 0
