"""Which server gets a token: one that nobody asked to send stays on this machine."""

import pytest

from benchmarks.credentials import Credentials
from service.errors import ConfigError

HERE = ("http://127.0.0.1:8000", "http://localhost:8000/v1", "http://[::1]:8000", "http://127.9.9.9")
ELSEWHERE = (
    *("http://10.0.0.1:8000", "http://example.org", "http://127.0.0.1.example.org", "http://0.0.0.0:1"),
    *("http://127.0.0.1@example.org", "http://localhost.example.org:80/v1"),
)
ENVIRONMENT = {"VALID_TOKEN": "mine", "OTHER": "theirs"}


@pytest.mark.parametrize("url", [*HERE, *ELSEWHERE])
def test_the_environments_token_stays_on_this_machine(url: str) -> None:
    credentials = Credentials.read(None, None, ENVIRONMENT)
    assert credentials.token_for(url) == ("mine" if url in HERE else None)
    assert (credentials.advice(url) is None) == (url in HERE)


@pytest.mark.parametrize(
    ("token", "variable", "sent"),
    [("said", None, "said"), (None, "OTHER", "theirs"), (None, "VALID_TOKEN", "mine")],
)
def test_a_token_that_was_asked_for_is_sent_anywhere(token: str, variable: str, sent: str) -> None:
    credentials = Credentials.read(token, variable, ENVIRONMENT)
    assert {credentials.token_for(url) for url in (*HERE, *ELSEWHERE)} == {sent}
    assert credentials.advice(ELSEWHERE[0]) is None


def test_a_variable_that_is_not_set_and_two_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="NONE: that environment variable is not set"):
        Credentials.read(None, "NONE", ENVIRONMENT)
    with pytest.raises(ConfigError, match="leave one out"):
        Credentials.read("a", "OTHER", ENVIRONMENT)


def test_no_token_is_shown() -> None:
    assert "mine" not in repr(Credentials.read(None, None, ENVIRONMENT))
