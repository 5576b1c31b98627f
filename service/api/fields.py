"""The types of single fields that several bodies share."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.domain import SEEDS

# Far below this a float32 is 0, which the engine refuses.
LEAST_POSITIVE = 1e-6
MAX_STOP_STRINGS = 16
MAX_STOP_CHARACTERS = 1_024
# Longer than any model's name or a client's own id of its user.
MAX_NAME_CHARACTERS = 512
MAX_SEED = SEEDS - 1
MAX_COUNT = 2**31 - 1
MAX_CHOICES = 16
_MAX_FIELDS = 64


def _is_unicode(text: str) -> str:
    """JSON can spell half a surrogate pair, which is no character and can't be encoded."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("holds half a surrogate pair, which is no character") from error
    return text


Text = Annotated[str, AfterValidator(_is_unicode)]
Name = Annotated[Text, Field(max_length=MAX_NAME_CHARACTERS)]
Positive = Annotated[int, Field(gt=0, le=MAX_COUNT)]
TokenId = Annotated[int, Field(ge=0, le=MAX_COUNT)]
StopString = Annotated[Text, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]


class Wire(BaseModel):
    """What all bodies share: strict types, no unknown fields, no NaN.

    Lists in them fail fast: pydantic describes each wrong item, and a body has room for a million.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_not_too_many_fields(cls, value: object) -> object:
        """Pydantic describes each unknown field, and a body of some MiB has a hundred thousand."""
        if isinstance(value, dict) and len(value) > _MAX_FIELDS:
            raise ValueError(f"has {len(value)} fields, and at most {_MAX_FIELDS} are known")
        return value


StopStrings = Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS, fail_fast=True)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Temperature = Annotated[float, Field(ge=0, le=100)]
RepetitionPenalty = Annotated[float, Field(ge=LEAST_POSITIVE, le=1e6)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
