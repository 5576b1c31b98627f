"""Reproducible mode sets what it needs, and refuses what would break it."""

from pathlib import Path
from typing import Any

import pytest

from service.bootstrap.models import engine_config
from service.errors import ConfigError
from service.settings import ModelSettings

TRIO = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}


def model(**settings: Any) -> ModelSettings:
    return ModelSettings(path=Path("some-model"), reproducible=True, **settings)


def refusal(settings: ModelSettings, device: str = "CPU") -> str:
    with pytest.raises(ConfigError) as error:
        engine_config(settings, device)
    return error.value.message


def test_the_engine_gets_the_three_properties_and_is_told() -> None:
    config = engine_config(model(), "CPU")
    assert config.properties == TRIO
    assert config.backend == "openvino-reproducible"


def test_without_it_nothing_changes() -> None:
    config = engine_config(ModelSettings(path=Path("some-model")), "CPU")
    assert config.properties == {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"}
    assert config.backend == "openvino"


def test_other_properties_are_kept_beside_them_and_equal_ones_are_no_contradiction() -> None:
    given = {"INFERENCE_NUM_THREADS": "2", "KV_CACHE_PRECISION": "f32"}
    assert engine_config(model(properties=given), "CPU").properties == TRIO | given


@pytest.mark.parametrize(
    ("key", "value", "needed"),
    [
        ("INFERENCE_PRECISION_HINT", "bf16", "f32"),
        ("KV_CACHE_PRECISION", "u8", "f32"),
        ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "64", "0"),
        ("KEY_CACHE_PRECISION", "u8", "f32"),
        ("VALUE_CACHE_PRECISION", "u8", "f32"),
    ],
)
def test_a_property_against_it_is_refused_with_key_value_and_remedy(
    key: str, value: str, needed: str
) -> None:
    message = refusal(model(properties={key: value}))
    assert message.startswith(f"some-model: `properties` has {key} = '{value}'")
    assert f"needs '{needed}': take {key} out of `properties`" in message


@pytest.mark.parametrize("threads", ["many", "", "-2", "2.5", "²", "10000"])
def test_threads_that_are_no_number_are_refused_with_key_value_and_remedy(threads: str) -> None:
    message = refusal(model(properties={"INFERENCE_NUM_THREADS": threads}))
    assert message.startswith(f"some-model: `properties` has INFERENCE_NUM_THREADS = {threads!r}")
    assert "no whole number from 0 to 9999: set the number of threads" in message


@pytest.mark.parametrize("threads", ["0", "2", "9999"])
def test_a_number_of_threads_is_kept(threads: str) -> None:
    properties = engine_config(model(properties={"INFERENCE_NUM_THREADS": threads}), "CPU").properties
    assert properties["INFERENCE_NUM_THREADS"] == threads


@pytest.mark.parametrize("device", ["GPU", "NPU", "AUTO", "HETERO:GPU,CPU"])
def test_a_device_that_it_was_not_verified_on_is_refused(device: str) -> None:
    message = refusal(model(), device)
    assert f"not '{device}'" in message
    assert "set `device` to CPU" in message


def test_the_fake_engine_answers_by_rote_so_it_needs_no_properties() -> None:
    config = engine_config(model(backend="fake", properties={"step_s": "0"}), "CPU")
    assert (config.backend, config.properties) == ("fake", {"step_s": "0"})
