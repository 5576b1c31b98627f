import pytest

from export.errors import ConversionError
from export.weight_files import choose_weights, is_pickle


def test_safetensors_are_preferred_even_when_pickles_are_allowed() -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model.bin"]
    for allowed in (False, True):
        assert choose_weights(names, "m", allow_pickle=allowed) == set(names[:2])


def test_pickles_alone_are_refused_with_the_reason_and_the_way() -> None:
    with pytest.raises(ConversionError, match=r"can run code .* get a version with .* add --allow-pickle"):
        choose_weights(["pytorch_model.bin", "config.json"], "m", allow_pickle=False)
    assert choose_weights(["pytorch_model.bin"], "m", allow_pickle=True) == {"pytorch_model.bin"}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("consolidated.00.pth", "a pickle that transformers does not read"),
        ("model.ckpt", "a pickle that transformers does not read"),
        ("tf_model.h5", "only TensorFlow weights"),
        ("flax_model.msgpack", "only Flax weights"),
        ("consolidated.safetensors", "no model.safetensors"),
        ("config.json", "holds no weights"),
    ],
)
def test_weights_that_transformers_does_not_read_are_named(name: str, part: str) -> None:
    with pytest.raises(ConversionError, match=part):
        choose_weights([name], "m", allow_pickle=True)


def test_openvinos_weights_are_no_pickles() -> None:
    assert not is_pickle("openvino_model.bin")
    assert is_pickle("training_args.bin")
    assert is_pickle("rng_state.pth")
