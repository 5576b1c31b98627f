"""What a token looks like, and which mistakes its checksum shows."""

import re
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.token_text import checksum, hash_token, is_misspelt, new_token

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def decoded(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 62 + BASE62.index(letter)
    return number


def test_token_has_its_form_and_192_bits_of_chance() -> None:
    token_id, text = new_token()
    matched = re.fullmatch(r"tsv_([0-9A-Za-z]{8})_([0-9A-Za-z]{33})([0-9A-Za-z]{6})", text)
    assert matched
    assert matched[1] == token_id
    assert 62 ** len(matched[2]) >= 2**192
    assert len({new_token()[1] for _ in range(1000)}) == 1000


def test_it_ends_with_the_crc32_of_all_before_in_base_62() -> None:
    _, text = new_token()
    assert decoded(text[-6:]) == zlib.crc32(text[:-6].encode())
    assert not is_misspelt(text)


@given(st.text())
def test_every_text_has_a_checksum_of_six_letters(body: str) -> None:
    assert decoded(checksum(body)) == zlib.crc32(body.encode())
    assert len(checksum(body)) == 6


@given(st.integers(4, 51).filter(lambda place: place != 12), st.sampled_from(BASE62))
def test_one_wrong_letter_anywhere_is_seen(place: int, letter: str) -> None:
    _, text = new_token()
    wrong = text[:place] + letter + text[place + 1 :]
    assert is_misspelt(wrong) == (wrong != text)


@given(st.integers(13, 50))
def test_two_letters_swapped_are_seen(place: int) -> None:
    _, text = new_token()
    wrong = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert is_misspelt(wrong) == (wrong != text)


@pytest.mark.parametrize(
    "other",
    ["", "a", "open-sesame", "tsv_AbCdEfGh_" + "x" * 33, "tsv_", "hf_" + "x" * 40, "\udcff" * 52, "é" * 52],
)
def test_what_has_another_form_is_not_called_misspelt(other: str) -> None:
    assert not is_misspelt(other)


def test_hash_takes_what_no_utf8_can_hold() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_token("\udcff"))
