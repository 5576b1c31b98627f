"""An answer's text, token by token: no character is ever cut in two, and nothing is lost or said twice."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from service.domain import Token
from service.text.answer import AnswerText
from service.text.decoder import IncrementalDecoder
from tests.support.tiny import END, tiny_tokenizer

BYTES = tiny_tokenizer()
END_ID = BYTES.token_to_id(END)
PROMPT = BYTES.encode("a prompt: ", add_special_tokens=False).ids
# Latin, CJK, emoji of several code points, right-to-left, combining marks, line ends.
TEXTS = st.text(st.sampled_from("ab \né字漢한🙂👩‍👧🇯🇵שלום\u0301\u200d"), min_size=1, max_size=25)
BYTE_IDS = st.integers(0, 255)


def ids_of(text: str) -> list[int]:
    ids: list[int] = BYTES.encode(text, add_special_tokens=False).ids
    return ids


def answer(stop: Sequence[str] = (), tokenizer: Tokenizer = BYTES) -> AnswerText:
    return AnswerText(tokenizer, frozenset({END_ID}), PROMPT, stop)


def follow(text: AnswerText, ids: Sequence[int]) -> Iterator[Token]:
    for index, token_id in enumerate(ids):
        yield text.add(token_id, None, is_last=index == len(ids) - 1)
        if text.hit_stop:
            return


def joined(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens if not token.special)


@given(text=TEXTS)
def test_the_texts_of_the_tokens_join_to_the_whole_without_a_broken_character(text: str) -> None:
    built = answer()
    tokens = list(follow(built, ids_of(text)))
    assert joined(tokens) == built.finish() == text
    assert not any("\ufffd" in token.text for token in tokens)
    assert built.token_count == len(tokens) == len(text.encode())


@given(text=TEXTS)
def test_a_character_comes_with_the_token_that_completes_it(text: str) -> None:
    decoder = IncrementalDecoder(BYTES, PROMPT)
    sent = ""
    for count, token_id in enumerate(ids_of(text), start=1):
        sent += decoder.add(token_id)
        assert sent == text.encode()[:count].decode(errors="ignore")
    assert decoder.flush() == ""


@given(ids=st.lists(BYTE_IDS, min_size=1, max_size=30))
def test_bytes_that_are_no_text_come_out_as_the_tokenizer_has_them(ids: list[int]) -> None:
    built = answer()
    tokens = list(follow(built, ids))
    assert joined(tokens) == built.finish() == BYTES.decode(ids)


@given(ids=st.lists(BYTE_IDS | st.just(END_ID), min_size=1, max_size=20))
def test_special_tokens_in_between_neither_lose_nor_repeat_text(ids: list[int]) -> None:
    built = answer()
    tokens = list(follow(built, ids))
    assert joined(tokens) == built.finish()
    assert [token.text for token in tokens if token.special] == [END] * ids.count(END_ID)
    assert built.finish().count("\ufffd") <= len([token_id for token_id in ids if token_id != END_ID])


def test_a_special_token_in_an_unfinished_character_repeats_nothing() -> None:
    first, *rest = ids_of("é")
    built = answer()
    tokens = list(follow(built, [*ids_of("a"), first, END_ID, *ids_of("b"), *rest]))
    assert joined(tokens) == built.finish()
    assert built.finish().count("\ufffd") <= 2


def test_an_answer_that_ends_in_a_character_says_so_with_one_replacement_character() -> None:
    built = answer()
    tokens = list(follow(built, ids_of("a🙂")[:-1]))
    assert built.finish() == "a\ufffd"
    assert [token.text for token in tokens] == ["a", "", "", "\ufffd"]


def test_an_answer_that_ends_with_a_special_token_in_a_character_streams_what_it_answers() -> None:
    built = answer()
    tokens = list(follow(built, [*ids_of("a🙂")[:-1], END_ID]))
    assert joined(tokens) == built.finish()
    assert tokens[-1].special


def test_a_special_token_is_shown_and_not_part_of_the_text() -> None:
    built = answer()
    token = list(follow(built, [*ids_of("hi"), END_ID]))[-1]
    assert (token.text, token.special, token.id) == (END, True, END_ID)
    assert built.finish() == "hi"
    assert built.token_count == 3


@given(text=TEXTS, stop=st.lists(TEXTS.map(lambda text: text[:3]), min_size=1, max_size=3))
def test_stop_strings_end_the_answer_with_themselves(text: str, stop: list[str]) -> None:
    built = answer(stop)
    tokens = list(follow(built, ids_of(text)))
    ends = [start + len(one) for one in stop if (start := text.find(one)) >= 0]
    assert built.hit_stop == bool(ends)
    assert joined(tokens) == built.finish() == (text[: min(ends)] if ends else text)


@given(text=TEXTS, stop=st.lists(TEXTS.map(lambda text: text[:3]), min_size=1, max_size=3))
def test_without_its_stop_string_an_answer_streams_what_it_answers(text: str, stop: list[str]) -> None:
    built = AnswerText(BYTES, frozenset([END_ID]), PROMPT, stop, keep_stop=False)
    tokens = list(follow(built, ids_of(text)))
    assert joined(tokens) == built.finish()
    assert not any(one in built.finish() for one in stop)
    assert text.startswith(built.finish())


def test_a_piece_is_a_tokens_own_text_whatever_waits_or_is_cut() -> None:
    built = AnswerText(BYTES, frozenset([END_ID]), PROMPT, ["bc"], keep_stop=False)
    tokens = list(follow(built, ids_of("abc")))
    assert [(token.piece, token.text) for token in tokens] == [("a", "a"), ("b", ""), ("c", "")]


def test_a_special_token_frees_what_waited_for_a_stop_string() -> None:
    built = AnswerText(BYTES, frozenset([END_ID]), PROMPT, ["bc"], keep_stop=False)
    tokens = list(follow(built, [*ids_of("ab"), END_ID, *ids_of("c")]))
    assert [(token.text, token.freed) for token in tokens] == [("a", ""), ("", ""), (END, "b"), ("c", "")]
    assert built.finish() == "abc"
    assert not built.hit_stop


def test_a_stop_string_within_one_token_cuts_that_token() -> None:
    built = AnswerText(_words("Hello", "▁world", "!"), frozenset(), [0], ["wor"])
    tokens = list(follow(built, [0, 1, 2]))
    assert [token.text for token in tokens] == ["Hello", " wor"]
    assert built.finish() == "Hello wor"


def test_a_first_tokens_leading_space_survives_a_decoder_that_strips_it() -> None:
    tokenizer = _words("Hello", "▁world")
    built = AnswerText(tokenizer, frozenset(), [0], ())
    assert [token.text for token in follow(built, [1, 1])] == [" world", " world"]
    assert tokenizer.decode([1]) == "world"


@pytest.mark.parametrize("logprob", [None, -0.25])
def test_a_logprob_is_handed_through(logprob: float | None) -> None:
    assert answer().add(ids_of("a")[0], logprob, is_last=True).logprob == logprob


def _words(*words: str) -> Tokenizer:
    """A tokenizer as SentencePiece makes them: its decoder strips the text's first space."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="?"))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer
