"""The values that travel between the parts of the service: requests, sampling, events, timings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

SEEDS = 2**63
"""Every seed is below it."""

FinishReason = Literal["length", "eos_token", "stop_sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What the answer must match.

    `value` is a JSON schema as JSON text, or a regular expression, or for structural tags the JSON text of
    {"triggers": [str], "tags": [{"begin": str, "schema": {}, "end": str}]}: the answer is free until it holds
    a trigger, which one of the tags must begin with; that tag follows, with JSON of its schema inside.
    "at_least_one": true beside them forces a tag at once, "stop_after_first": true ends the answer after one.
    """

    kind: Literal["json_schema", "regex", "structural_tags"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen, and when generation ends.

    `seed` is None exactly when decoding is greedy (`do_sample` false). Penalties: repetition is
    multiplicative (1 is off), frequency and presence are OpenAI's additive ones (0 is off).
    `logprobs` asks for the chosen token's log-probability, which takes the engine time on every token;
    `prompt_logprobs` for that of every prompt token.
    """

    max_new_tokens: int
    min_new_tokens: int = 0
    ignore_eos: bool = False
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    logprobs: bool = False
    prompt_logprobs: bool = False
    grammar: Grammar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A decoded picture: `pixels` are uint8 RGB [height, width, 3], row by row."""

    width: int
    height: int
    pixels: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePrompt:
    """Texts with an image between each two of them, so one text more than images; texts may be empty.

    `image_tokens` is how many tokens of the prompt all the images take together, at most.
    """

    texts: tuple[str, ...]
    images: tuple[Image, ...]
    image_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A request that passed validation: nothing in it can be refused any more.

    `prompt_ids` are token ids of the model's own tokenizer, at least one unless there are images, and with
    the tokens of `pictures` and `sampling.max_new_tokens` they fit the model's context. A vision model's
    request has `pictures` even without an image: then they are of one text. Generation ends with the first
    of the `stop` strings, which stays in the text if `keep_stop`.
    """

    prompt_ids: list[int]
    sampling: Sampling
    pictures: PicturePrompt | None = None
    stop: tuple[str, ...] = ()
    keep_stop: bool = True

    @property
    def has_images(self) -> bool:
        """Whether there is a picture to look at."""
        return self.pictures is not None and bool(self.pictures.images)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the prompt takes, its images' included."""
        return len(self.prompt_ids) + (self.pictures.image_tokens if self.pictures else 0)


class Token(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One generated token; made for every one, so of the kind that is made fastest.

    `text` is what this token adds to the answer: empty while a character is still incomplete, or while it
    may be part of a stop string that is to be left out. `piece` is its own text, whatever becomes of it.
    `logprob` is None unless it was asked for. `freed` is text that waited and comes before a special token.
    """

    id: int
    text: str
    piece: str
    logprob: float | None
    special: bool
    freed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where a request's time went, in seconds.

    queue_s: from acceptance to the engine step that took it up. inference_s: from there to the last
    token. total_s: from acceptance to the last token. ttft_s: from acceptance to the first token.
    """

    queue_s: float
    inference_s: float
    total_s: float
    ttft_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of an answer: its last event, and the only one of its kind."""

    reason: FinishReason
    generated_text: str
    prompt_tokens: int
    generated_tokens: int
    seed: int | None
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptToken:
    """One token of the prompt.

    `logprob` is None for the first one, and for those whose KV cache an earlier request had left.
    """

    id: int
    text: str
    logprob: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first event of an answer: the engine took the request up. `prefill` is empty unless asked for."""

    prompt_tokens: int
    seed: int | None
    queue_s: float
    prefill: tuple[PromptToken, ...] = ()


GenerationEvent = Start | Token | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: the fold of its events."""

    tokens: list[Token]
    finish: Finish
    prefill: tuple[PromptToken, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNames:
    """What a client's API calls the fields that errors name; TGI's names unless said otherwise."""

    prompt: str = "inputs"
    max_new_tokens: str = "max_new_tokens"
    min_new_tokens: str = "min_new_tokens"
    grammar: str = "grammar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPrompt:
    """A conversation, in the form of OpenAI's messages and tools, that the model's template makes a text of.

    `opening` is what the model's answer begins with: it is put after the text. `template_arguments` are
    variables of the template's own.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None = None
    continue_final_message: bool = False
    add_generation_prompt: bool = True
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    opening: str = ""

    def parts(self) -> Iterator[object]:
        """All that the client wrote of it and the template may put into the text."""
        for message in self.messages:
            yield message.get("content")
            yield message.get("tool_calls")
        yield self.tools
        yield self.template_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request as a client sent it: types and ranges of single fields are right, the whole is unchecked.

    None means not given. `prompt` is a text, token ids, or a conversation. `default_new_tokens` takes the
    place of the model's own default for `max_new_tokens`. `truncate` keeps that many last tokens of the
    prompt. `keep_stop`: whether the stop string that ended the answer stays in its text.
    `add_special_tokens`: whether the tokenizer adds its own to a text, such as the one that begins every
    text; a conversation's template has its own.
    """

    prompt: str | tuple[int, ...] | ChatPrompt
    max_new_tokens: int | None = None
    default_new_tokens: int | None = None
    min_new_tokens: int = 0
    ignore_eos: bool = False
    do_sample: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    keep_stop: bool = True
    truncate: int | None = None
    grammar: Grammar | None = None
    logprobs: bool = False
    prompt_logprobs: bool = False
    add_special_tokens: bool = True
    names: FieldNames = FieldNames()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """How many tokens one request may have.

    `default_new` is for clients that don't say how many new ones; `default_chat` for those of chats.
    """

    max_input: int
    max_total: int
    default_new: int
    default_chat: int
