from pathlib import Path
from typing import Any

import pytest

from export.architecture import context_length, eos_token_ids, find_task, read_config
from export.errors import ConversionError

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


LLAVA = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}


def test_a_decoder_only_text_model_is_for_text() -> None:
    assert find_task(LLAMA, "m") == "text-generation"


def test_a_vision_language_model_with_a_recipe_is_known_by_its_type() -> None:
    assert find_task(LLAVA, "m") == "image-text-to-text"


def test_a_task_that_the_model_is_not_made_for_is_refused() -> None:
    assert find_task(LLAVA, "m", "image-text-to-text") == "image-text-to-text"
    with pytest.raises(ConversionError, match="made for image-text-to-text, not for text-generation"):
        find_task(LLAVA, "m", "text-generation")
    with pytest.raises(ConversionError, match="made for text-generation, not for image-text-to-text"):
        find_task(LLAMA, "m", "image-text-to-text")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder-decoder"),
        (
            LLAVA | {"model_type": "smolvlm"},
            "vision-language model of the kind smolvlm, .* choose one of llava",
        ),
        ({"architectures": ["BertModel"]}, "does not generate text .it is BertModel."),
        ({"architectures": ["LlamaForSequenceClassification"]}, "it is LlamaForSequenceClassification"),
        (
            {"architectures": ["WhisperForConditionalGeneration"], "is_encoder_decoder": True},
            "encoder-decoder",
        ),
        ({"architectures": ["MambaForCausalLM"], "model_type": "mamba"}, "has recurrent layers .mamba."),
        (LLAMA | {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}, "has recurrent layers"),
        (LLAMA | {"layer_types": ["linear_attention", "full_attention"]}, "has recurrent layers"),
        ({}, "does not generate text"),
    ],
)
def test_what_can_not_be_converted_is_refused_with_the_reason(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConversionError, match=f"m .*{reason}"):
        find_task(config, "m")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_config_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConversionError, match=r"config\.json is not"):
        read_config(tmp_path)


def test_layers_of_attention_alone_are_not_recurrent() -> None:
    window = LLAMA | {"layer_types": ["sliding_attention", "full_attention", "chunked_attention"]}
    assert find_task(window, "m") == "text-generation"
    dense = LLAMA | {"model_type": "granitemoehybrid", "layer_types": ["attention", "attention"]}
    assert find_task(dense, "m") == "text-generation"


def test_the_context_length_is_found_under_its_older_names() -> None:
    assert context_length({"n_positions": 1024}, "m") == 1024
    assert context_length({"max_seq_len": 2048}, "m") == 2048
    assert context_length({"text_config": {"max_position_embeddings": 2048}}, "m") == 2048
    with pytest.raises(ConversionError, match="says no context length"):
        context_length({}, "m")


def test_the_generation_config_speaks_before_the_model_config() -> None:
    assert eos_token_ids({"eos_token_id": [2, 7]}, {"eos_token_id": 1}, "m") == (2, 7)
    assert eos_token_ids({}, {"eos_token_id": 1}, "m") == (1,)
    assert eos_token_ids({}, {"eos_token_id": None, "text_config": {"eos_token_id": 3}}, "m") == (3,)
    with pytest.raises(ConversionError, match="names no eos_token_id"):
        eos_token_ids({}, {}, "m")
