"""What the tests of several clients say and ask for."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

QUESTION = "What is the capital of France?"
MESSAGES: list[Any] = [{"role": "user", "content": QUESTION}]


class City(StrEnum):
    """Few values, so that a model of any size ends its JSON."""

    PARIS = "Paris"
    ROME = "Rome"


class Unit(StrEnum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(BaseModel):
    """The place asked for."""

    model_config = ConfigDict(extra="forbid")

    city: City


class WeatherQuery(BaseModel):
    """Look the weather up."""

    model_config = ConfigDict(extra="forbid")

    city: City
    unit: Unit


def tool(name: str, arguments: type[BaseModel]) -> dict[str, Any]:
    """A function as OpenAI's `tools` parameter describes it."""
    function = {"name": name, "description": arguments.__doc__, "parameters": arguments.model_json_schema()}
    return {"type": "function", "function": function}


WEATHER = tool("get_weather", WeatherQuery)
TIME = tool("get_time", Place)
