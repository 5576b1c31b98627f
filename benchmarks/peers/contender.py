"""Names one side of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import ConfigError

TIBER = "tiber-serve"
LLAMACPP = "llamacpp"
VLLM = "vllm"
OPENAI = "openai"
KINDS = (TIBER, LLAMACPP, VLLM, OPENAI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A server and what it serves: a folder, a .gguf file, or for `openai` the URL where it runs already.

    `label` is what tables and plots call it.
    """

    label: str
    kind: str
    model: str

    @property
    def is_ours(self) -> bool:
        """Whether it is this project's server, started by us."""
        return self.kind == TIBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A contender as asked for; no model, or `default`, means the default model; no label, one of ours."""

    kind: str
    model: str | None
    label: str | None


def parse_choice(text: str) -> Choice:
    """Take `[LABEL=]KIND[:MODEL]` apart.

    Raises:
        ConfigError: the kind is unknown, or `openai` comes without a URL.
    """
    # What follows the colon may hold an equals sign; a kind doesn't.
    head, _, model = text.partition(":")
    label, _, kind = head.rpartition("=")
    if kind not in KINDS:
        raise ConfigError(f"no contender {text!r}: say [LABEL=]KIND[:MODEL], KIND one of {', '.join(KINDS)}")
    if kind == OPENAI and not model:
        raise ConfigError("openai needs the address of a running server: openai:http://HOST:PORT")
    return Choice(kind=kind, model=model or None, label=label or None)


def unique_labels(contenders: Sequence[Contender]) -> None:
    """Refuse two contenders of one label. Raises: ConfigError."""
    labels = [contender.label for contender in contenders]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"two contenders are called {label!r}: name them, as in A=tiber-serve:FOLDER")
