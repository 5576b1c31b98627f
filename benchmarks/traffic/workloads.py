"""Makes the requests of a workload one by one, the same ones for the same seed."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from benchmarks.traffic.lengths import Lengths
from benchmarks.traffic.specs import Form, read_spec, whole
from benchmarks.workload import WORDS
from service.errors import ConfigError, ModelFolderError
from service.manifest import TOKENIZER_FILE

WHAT = "workload"
FORMS = {
    "fixed": Form(defaults={"in": 128, "out": 64}, example="fixed:in=128,out=64"),
    "uniform": Form(
        defaults={"in_min": 16, "in_max": 256, "out_min": 16, "out_max": 128},
        example="uniform:in_min=16,in_max=256,out_min=16,out_max=128",
    ),
    "lognormal": Form(
        defaults={"in": 200, "in_sigma": 0.8, "in_max": 2048, "out": 100, "out_sigma": 0.8, "out_max": 1024},
        example="lognormal:in=200,in_sigma=0.8,out=100",
    ),
    "sharegpt": Form(defaults={"in_max": 1024, "out_max": 1024}, example="sharegpt:in_max=1024,out_max=1024"),
    "shared-prefix": Form(
        defaults={"prefix": 1024, "in": 64, "out": 64}, example="shared-prefix:prefix=1024,in=64,out=64"
    ),
    "long": Form(defaults={"in": 4000, "out": 64}, example="long:in=4000,out=64"),
    "vision": Form(defaults={"side": 512, "in": 16, "out": 64}, example="vision:side=512,in=16,out=64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: its text, a JPEG in base64 where it is about a picture, and the tokens of its answer."""

    text: str
    output_tokens: int
    picture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Words that are a token each, and how many tokens a text has beside its words'."""

    words: tuple[str, ...] = WORDS
    added_tokens: int = 0

    @classmethod
    def of_model(cls, model: Path) -> "Vocabulary":
        """Those of the common words that are one token of a converted model.

        Raises:
            ModelFolderError: its tokenizer is missing or broken.
            ConfigError: too few words are one token of it.
        """
        path = model / TOKENIZER_FILE
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ModelFolderError(f"{path} is missing or broken: {error}") from error

        def is_one(text: str) -> bool:
            return len(tokenizer.encode(text, add_special_tokens=False).ids) == 1

        words = tuple(word for word in WORDS if is_one(word) and is_one(f" {word}"))
        if len(words) < len(WORDS) // 4:
            raise ConfigError(f"only {len(words)} of our words are one token of {model}: leave out --model")
        return cls(words=words, added_tokens=len(tokenizer.encode("", add_special_tokens=True).ids))

    def text(self, chance: Random, tokens: int) -> str:
        """A text of that many tokens, of one word at the least."""
        return " ".join(chance.choices(self.words, k=max(1, tokens)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests without end. `seed` and a request's number decide its lengths; `part` its words, too.

    So another part has other prompts of the same lengths: no prefix cache has them from an earlier one.
    """

    lengths: Lengths
    vocabulary: Vocabulary
    seed: int
    part: str = ""
    prefix: str = ""
    picture_side: int | None = None

    @classmethod
    def from_spec(cls, spec: str, *, seed: int, model: Path | None, part: str = "") -> "Workload":
        """Read a specification; prompts are counted in `model`'s tokens, without one in words.

        Raises:
            ConfigError: it says nothing we know.
            ModelFolderError: the model's tokenizer is missing or broken.
        """
        name, values = read_spec(spec, FORMS, WHAT)
        _check(spec, name, values)
        vocabulary = Vocabulary.of_model(model) if model else Vocabulary()
        prefix = (
            vocabulary.text(Random(f"{seed}/{part}/prefix"), int(values["prefix"]))
            if "prefix" in values
            else ""
        )
        return cls(
            lengths=Lengths.of(name, values),
            vocabulary=vocabulary,
            seed=seed,
            part=part,
            prefix=prefix,
            picture_side=int(values["side"]) if "side" in values else None,
        )

    def ask(self, number: int | str) -> Ask:
        """The request of that number."""
        lengths, content = Random(f"{self.seed}/{number}"), Random(f"{self.seed}/{self.part}/{number}")
        tokens = self.lengths.prompt.draw(lengths) - self.vocabulary.added_tokens
        text = self.vocabulary.text(content, tokens)
        return Ask(
            text=f"{self.prefix} {text}" if self.prefix else text,
            output_tokens=self.lengths.output.draw(lengths),
            picture=None if self.picture_side is None else _picture(content, self.picture_side),
        )


def _check(spec: str, name: str, values: dict[str, float]) -> None:
    # A median may lie between two numbers of tokens.
    fractions = ("in", "out", "in_sigma", "out_sigma") if name == "lognormal" else ()
    for key in values.keys() - fractions:
        whole(values[key], f"the {WHAT} {spec!r}: {key}")
    for least, most in (("in_min", "in_max"), ("out_min", "out_max"), ("in", "in_max"), ("out", "out_max")):
        if values.get(least, 0) > values.get(most, values.get(least, 0)):
            raise ConfigError(f"the {WHAT} {spec!r}: {least} is more than {most}")
    if any(0 < values.get(key, 1) < 1 for key in ("in", "out", "side")):
        raise ConfigError(f"the {WHAT} {spec!r}: a prompt and an answer have one token at the least")
    if values.get("side", 0) > 1024:
        raise ConfigError(f"the {WHAT} {spec!r}: a picture's side is 1024 pixels at most")


def _picture(chance: Random, side: int) -> str:
    # Imported late: only workloads with pictures need it.
    from benchmarks.pictures import drawn_jpeg

    return drawn_jpeg(chance, side)
