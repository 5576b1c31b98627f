import pytest

from export.catalogue import Entry, close_names, entries, find
from export.memory import OVERHEAD_BYTES, serving_need
from export.recipes import choose_recipe
from export.shape import Shape, from_config, from_gguf
from export.vision_recipes import RECIPES

# Llama and its kin: biases on query, key and value; norms of query and key; norms a layer.
KIN = {
    "llama": (False, False, 2),
    "mistral": (False, False, 2),
    "phi3": (False, False, 2),
    "smollm3": (False, False, 2),
    "qwen2": (True, False, 2),
    "qwen3": (False, True, 2),
    "gemma3_text": (False, True, 4),
}
COUNTED = [entry for entry in entries() if entry.architecture in KIN]


def count_parameters(shape: Shape, *, biases: bool, head_norms: bool, norms: int) -> int:
    """What a decoder of this shape holds, matrix by matrix."""
    hidden, head_size = shape.hidden or 0, shape.head_size or 0
    queries, keys = (shape.heads or 0) * head_size, (shape.kv_heads or 0) * head_size
    attention = 2 * hidden * queries + 2 * hidden * keys
    layer = attention + 3 * hidden * (shape.intermediate or 0) + norms * hidden
    layer += (queries + 2 * keys) * biases + 2 * head_size * head_norms
    return (shape.embedding_parameters or 0) + (shape.layers or 0) * layer + hidden


@pytest.mark.parametrize("entry", COUNTED, ids=lambda entry: entry.name)
def test_the_numbers_of_a_model_make_up_its_parameter_count(entry: Entry) -> None:
    biases, head_norms, norms = KIN[entry.architecture]
    counted = count_parameters(entry.shape, biases=biases, head_norms=head_norms, norms=norms)
    assert counted == entry.shape.parameters


def test_names_and_hub_ids_are_unique_and_lower_case_names() -> None:
    names = [entry.name for entry in entries()]
    ids = [entry.hub_id for entry in entries() if entry.hub_id]
    assert len(set(names)) == len(names)
    assert len(set(ids)) == len(ids)
    assert all(name == name.lower() for name in names)


def test_every_entry_says_where_it_comes_from_and_what_instead_if_it_is_not_served() -> None:
    for entry in entries():
        assert entry.hub_id or entry.package
        assert bool(entry.not_served) == bool(entry.instead)
        if entry.task == "image-text-to-text":
            assert entry.architecture in RECIPES


def test_the_communitys_models_are_all_there() -> None:
    community = {entry.name for entry in entries() if entry.limits_source}
    assert community == {
        "phi-3-mini-4k",
        "phi-3-mini-128k",
        "hermes-2-pro",
        "hermes-3-llama3.1",
        "openhermes-mistral",
        "codellama-7b",
        "flan-t5-xxl",
        "flan-ul2",
        "llava-next",
    }


@pytest.mark.parametrize("text", ["PHI-4-Mini", "microsoft/phi-4-mini-INSTRUCT"])
def test_a_model_is_found_by_name_or_hub_id_in_any_case(text: str) -> None:
    entry = find(text)
    assert entry is not None
    assert entry.name == "phi-4-mini"


def test_a_typo_suggests_what_was_meant() -> None:
    assert close_names("phi-4mini")[0] == "phi-4-mini"
    assert close_names("zzzzzz") == []


def test_limits_are_the_communitys_or_computed_and_unknown_stays_unknown() -> None:
    community, computed, demo = find("hermes-2-pro"), find("qwen3-8b"), find("flan-ul2")
    assert community is not None
    assert computed is not None
    assert demo is not None
    assert (community.max_input, community.max_total) == (2048, 4096)
    assert (computed.max_input, computed.max_total, computed.concurrency) == (6144, 8192, 8)
    assert demo.shape.parameters is None


def test_memory_is_weights_and_cache_and_overhead() -> None:
    entry = find("llama-3.1-8b-instruct")
    assert entry is not None
    int8 = serving_need(
        entry.shape, choose_recipe(device="CPU", weights="int8"), max_total=1000, concurrency=2
    )
    assert int8 is not None
    assert int8.weights == 8_030_261_248
    assert int8.cache_per_token == 2 * 32 * 8 * (128 + 8)
    assert int8.total == int8.weights + 2000 * int8.cache_per_token + OVERHEAD_BYTES


def test_int4_takes_about_half_and_an_arcs_cache_is_planned_in_16_bits() -> None:
    entry = find("llama-3.1-8b-instruct")
    assert entry is not None
    recipe = choose_recipe(device="GPU", weights="int4")
    need = serving_need(entry.shape, recipe, max_total=1, concurrency=1)
    assert need is not None
    in_int8 = 2 * 128256 * 4096
    assert need.weights == int(in_int8 + (8_030_261_248 - in_int8) * (0.5 + 2.5 / 128))
    assert need.cache_per_token == 2 * 32 * 8 * 128 * 2


def test_a_missing_number_makes_the_need_unknown() -> None:
    recipe = choose_recipe(device="CPU", weights="int8")
    assert serving_need(Shape(parameters=10), recipe, max_total=1, concurrency=1) is None


def test_shapes_are_read_from_config_json_and_from_gguf_fields() -> None:
    config = {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "vocab_size": 100,
        "tie_word_embeddings": True,
        "max_position_embeddings": 512,
    }
    shape = from_config({"text_config": config}, weight_bytes=2_000)
    assert (shape.parameters, shape.head_size, shape.kv_heads) == (1_000, 16, 2)
    assert shape.embedding_parameters == 6_400
    assert shape.cached_numbers_per_token == 2 * 3 * 2 * 16
    fields = {
        "general.architecture": "llama",
        "llama.embedding_length": 64,
        "llama.attention.head_count": 4,
        "llama.block_count": 3,
        "llama.context_length": 512,
    }
    read = from_gguf(fields, 1_000)
    assert (read.head_size, read.kv_heads, read.context) == (16, 4, 512)
