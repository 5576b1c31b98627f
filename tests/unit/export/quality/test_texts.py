import json
from collections import Counter
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from export.quality.texts import KINDS, MAX_TOKENS, Passage, encode_passages, read_passages, set_sha256
from tests.support.tiny import tiny_tokenizer

TEMPLATE = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"


def folder_with(tmp_path: Path, template: str | None = TEMPLATE) -> tuple[Path, Tokenizer]:
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": tokenizer.token_to_id("<|end|>")}))
    if template is not None:
        (tmp_path / "chat_template.jinja").write_text(template)
    return tmp_path, tokenizer


def conversation(*turns: tuple[str, str]) -> Passage:
    return Passage(kind="chat", name="c", messages=tuple({"role": r, "content": c} for r, c in turns))


def test_the_set_has_at_least_64_passages_of_every_kind_with_names_of_their_own() -> None:
    passages = read_passages()
    assert len(passages) >= 64
    assert {kind for kind, count in Counter(p.kind for p in passages).items() if count >= 6} == set(KINDS)
    assert len({(p.kind, p.name) for p in passages}) == len(passages)
    assert all(len(p.text) > 50 or len(p.messages) >= 2 for p in passages)


def test_conversations_end_with_an_answer() -> None:
    turns = [passage.messages for passage in read_passages() if passage.messages]
    assert len(turns) >= 10
    assert all(messages[-1]["role"] == "assistant" and messages[-1]["content"] for messages in turns)


def test_the_set_is_named_by_its_content(tmp_path: Path) -> None:
    for kind in KINDS:
        (tmp_path / f"{kind}.txt").write_text("=== a\nx\n")
    first = set_sha256(tmp_path)
    (tmp_path / "code.txt").write_text("=== a\ny\n")
    assert len({first, set_sha256(tmp_path), set_sha256()}) == 3


def test_long_passages_are_cut(tmp_path: Path) -> None:
    folder, _ = folder_with(tmp_path)
    long, short = encode_passages(
        (Passage(kind="prose", name="a", text="x" * 500), Passage(kind="prose", name="b", text="xyz")), folder
    )
    assert (len(long.ids), len(short.ids)) == (MAX_TOKENS, 3)
    assert long.ids.dtype == np.int64


def test_conversations_go_through_the_models_own_template(tmp_path: Path) -> None:
    folder, tokenizer = folder_with(tmp_path)
    (sample,) = encode_passages((conversation(("user", "Hi"), ("assistant", "Ho")),), folder)
    text = tokenizer.decode(sample.ids.tolist(), skip_special_tokens=False)
    assert text == "[user]Hi<|end|>[assistant]Ho<|end|>"


def test_a_template_that_refuses_leaves_plain_text(tmp_path: Path) -> None:
    folder, tokenizer = folder_with(tmp_path, "{{ raise_exception('no system turn') }}")
    (sample,) = encode_passages((conversation(("system", "Be"), ("user", "Hi")),), folder)
    assert tokenizer.decode(sample.ids.tolist()) == "System: Be\n\nUser: Hi"


def test_a_model_without_template_reads_plain_text(tmp_path: Path) -> None:
    folder, tokenizer = folder_with(tmp_path, None)
    (sample,) = encode_passages((conversation(("user", "Hi")),), folder)
    assert tokenizer.decode(sample.ids.tolist()) == "User: Hi"
