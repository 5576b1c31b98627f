"""A model folder for the fake backend: a byte-level tokenizer and a manifest."""

from datetime import UTC, datetime
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from service.manifest import ImageLimits, Manifest, Source, write_manifest

END = "<|end|>"
FAULTS = ("reject", "full", "poison", "crash", "hang")
CONTEXT_LENGTH = 512
# Whatever is said last comes first, so that the fake backend answers a chat by repeating it and then ends.
CHAT_TEMPLATE = (
    "{{ messages[-1]['content'] }}"
    + END
    + "{% for message in messages[:-1] %}{{ message['content'] }}{% endfor %}"
    "{% if tools %}{{ tools | length }}{% endif %}"
)


def tiny_tokenizer() -> Tokenizer:
    """One token for each byte, so that every other character is split; then END and the faults."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    tokenizer.add_tokens([AddedToken(f"<|{fault}|>", special=False) for fault in FAULTS])
    return tokenizer


def write_tiny_model(folder: Path, *, image_limits: ImageLimits | None = None, name: str = "tiny") -> None:
    """Write tokenizer.json, chat_template.jinja and manifest.json; with `image_limits` of a vision model."""
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    write_manifest(
        folder,
        Manifest(
            name=name,
            source=Source(kind="folder", identity="tests"),
            task="image-text-to-text" if image_limits else "text-generation",
            image_limits=image_limits,
            architecture="fake",
            weight_format="int8",
            group_size=None,
            device="CPU",
            context_length=CONTEXT_LENGTH,
            eos_token_ids=[tokenizer.token_to_id(END)],
            tool_format="hermes",
            tool_versions={},
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    )


def fake_model(folder: Path, *, step_s: float = 0.0, extra: str = "") -> str:
    """The settings of a fake model with every fault switched on; `extra` are further lines."""
    tokenizer = tiny_tokenizer()
    ids = {f"{fault}_id": tokenizer.token_to_id(f"<|{fault}|>") for fault in FAULTS}
    ids["eos_id"] = tokenizer.token_to_id(END)
    properties = ", ".join(f'{name} = "{value}"' for name, value in {**ids, "step_s": step_s}.items())
    return f'[[models]]\npath = "{folder}"\nbackend = "fake"\nproperties = {{ {properties} }}\n{extra}\n'
