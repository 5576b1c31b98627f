from pathlib import Path
from typing import Any

import pytest

from export.architecture import check_supported, context_length, eos_token_ids, read_config
from export.errors import ConversionError

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def test_a_decoder_only_text_model_passes() -> None:
    check_supported(LLAMA, "m")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder-decoder"),
        ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, "vision-language"),
        ({"architectures": ["BertModel"]}, "does not generate text .it is BertModel."),
        ({}, "does not generate text"),
    ],
)
def test_what_can_not_be_converted_is_refused_with_the_reason(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConversionError, match=f"m .*{reason}"):
        check_supported(config, "m")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_config_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConversionError, match=r"config\.json is not"):
        read_config(tmp_path)


def test_the_context_length_is_found_under_its_older_names() -> None:
    assert context_length({"n_positions": 1024}, "m") == 1024
    with pytest.raises(ConversionError, match="says no context length"):
        context_length({}, "m")


def test_the_generation_config_speaks_before_the_model_config() -> None:
    assert eos_token_ids({"eos_token_id": [2, 7]}, {"eos_token_id": 1}, "m") == (2, 7)
    assert eos_token_ids({}, {"eos_token_id": 1}, "m") == (1,)
    with pytest.raises(ConversionError, match="names no eos_token_id"):
        eos_token_ids({}, {}, "m")
