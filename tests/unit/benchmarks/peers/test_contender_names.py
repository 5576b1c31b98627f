"""How contenders are named on the command line."""

import pytest

from benchmarks.peers.contender import Choice, Contender, parse_choice, unique_labels
from service.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "kind", "model", "label"),
    [
        ("tiber-serve", "tiber-serve", None, None),
        ("llamacpp:/a/b.gguf", "llamacpp", "/a/b.gguf", None),
        ("ours=tiber-serve:models/x", "tiber-serve", "models/x", "ours"),
        ("openai:http://127.0.0.1:80/v3", "openai", "http://127.0.0.1:80/v3", None),
        ("OVMS=openai:http://h:1?a=b", "openai", "http://h:1?a=b", "OVMS"),
    ],
)
def test_a_contender_is_taken_apart(text: str, kind: str, model: str | None, label: str | None) -> None:
    assert parse_choice(text) == Choice(kind=kind, model=model, label=label)


@pytest.mark.parametrize(
    ("text", "said"),
    [("tgi:http://h:1", "KIND one of"), ("", "KIND one of"), ("openai", "openai:http://HOST:PORT")],
)
def test_what_is_no_contender_is_refused_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_choice(text)


def test_two_contenders_of_one_label_are_refused() -> None:
    one = Contender(label="same", kind="tiber-serve", model="a")

    with pytest.raises(ConfigError, match="two contenders are called 'same'"):
        unique_labels([one, one])
