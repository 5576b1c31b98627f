"""One choice's events become content and tool calls, however they come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.openai.choice_text import ChoiceText, Part
from service.domain import Finish, GenerationEvent, Start, Timings, Token
from service.text.tool_calls import ContentPiece, ToolCall

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
TIMINGS = Timings(queue_s=0, inference_s=1, total_s=1, ttft_s=0.1)


def token(text: str, *, special: bool = False) -> Token:
    return Token(id=1, text=text, piece=text, logprob=None, special=special)


def finish(text: str) -> Finish:
    return Finish(
        reason="eos_token",
        generated_text=text,
        prompt_tokens=1,
        generated_tokens=1,
        seed=None,
        timings=TIMINGS,
    )


def content(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, ContentPiece))


def calls(parts: list[Part]) -> list[str]:
    return [part.name for part in parts if isinstance(part, ToolCall)]


def plain() -> ChoiceText:
    return ChoiceText(None, opening="", is_single=False)


def with_tools(*, opening: str = "", is_single: bool = False) -> ChoiceText:
    return ChoiceText("hermes", opening=opening, is_single=is_single)


@given(text=st.text("ab<tool_call>{}", max_size=40), places=st.lists(st.integers(0, 40), max_size=6))
def test_without_tools_all_text_is_content_at_once(text: str, places: list[int]) -> None:
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    choice, said = plain(), ""
    for start, end in pairwise(borders):
        said += content(choice.add([token(text[start:end])]))
        assert said == text[:end]
    assert choice.add([finish(text)]) == []
    assert choice.calls == 0


def test_what_waited_for_a_stop_string_comes_with_the_end() -> None:
    choice = plain()
    assert content(choice.add([token("a"), token("")])) == "a"
    assert content(choice.add([token("</s>", special=True), finish("a held")])) == " held"


def test_special_tokens_are_no_content_unless_they_mark_a_call() -> None:
    events: list[GenerationEvent] = [
        Start(prompt_tokens=1, seed=None, queue_s=0),
        token("<|im_end|>", special=True),
        token("<tool_call>", special=True),
        token('{"name": "f", "arguments": {}}'),
        token("</tool_call>", special=True),
    ]
    assert calls(with_tools().add([*events, finish('{"name": "f", "arguments": {}}')])) == ["f"]
    assert content(plain().add([*events, finish("")])) == '{"name": "f", "arguments": {}}'


def test_a_whole_answer_and_its_stream_say_the_same() -> None:
    text = f"Let me see. {CALL}{CALL}"
    whole = with_tools().add([token(text), finish(text)])
    stream = with_tools()
    streamed = [part for character in text for part in stream.add([token(character)])]
    streamed += stream.add([finish(text)])
    assert content(whole) == content(streamed) == "Let me see. "
    assert calls(whole) == calls(streamed) == ["f", "f"]
    assert stream.calls == 2


def test_of_calls_that_may_not_be_parallel_the_first_one_counts() -> None:
    assert calls(with_tools(is_single=True).add([token(CALL + CALL), finish(CALL + CALL)])) == ["f"]


def test_the_calls_that_count_are_counted_and_no_others() -> None:
    choice = with_tools(is_single=True)
    choice.add([token(CALL + CALL), finish(CALL + CALL)])
    assert choice.calls == 1


def test_text_that_waited_comes_before_the_marker_of_a_call() -> None:
    freed = Token(id=2, text="<tool_call>", piece="<tool_call>", logprob=None, special=True, freed="held ")
    parts = with_tools().add([freed, token('{"name": "f", "arguments": {}}'), finish('held {"name"')])
    assert (content(parts), calls(parts)) == ("held ", ["f"])


@pytest.mark.parametrize(
    ("answer", "made"), [('{"name": "f", "arguments": {}}', ["f"]), ('{"name": "f", "argum', [])]
)
def test_a_forced_call_begins_in_the_prompt_and_one_cut_off_is_no_call(answer: str, made: list[str]) -> None:
    choice = with_tools(opening="<tool_call>\n")
    parts = choice.add([token(answer), finish(answer)])
    assert calls(parts) == made
    assert made or answer in content(parts)
