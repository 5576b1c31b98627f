"""A running service follows what becomes of its tokens, without a restart and within two seconds."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from service.auth.tokens import TokenStore
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

LIMIT_S = 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("token-life")


@pytest.fixture(scope="module")
def server(tiny_model: Path, folder: Path) -> Iterator[RunningServer]:
    with running_server(folder, fake_model(tiny_model)) as server:
        yield server


@pytest.fixture
def store(folder: Path, server: RunningServer) -> TokenStore:
    """What `tiber-serve token` uses, in another process than the service's."""
    return TokenStore(folder / "tokens.json")


@pytest.fixture
def ask(server: RunningServer) -> Iterator[Callable[[str], httpx.Response]]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield lambda text: client.get("/info", headers={"Authorization": f"Bearer {text}"})


def refused_after_s(ask: Callable[[str], httpx.Response], text: str, since_s: float) -> float:
    """Ask until the token is refused; every answer before must be 200."""
    while True:
        response = ask(text)
        if response.status_code == 401:
            return time.monotonic() - since_s
        assert response.status_code == 200
        assert time.monotonic() - since_s < 10
        time.sleep(0.02)


def token_command(folder: Path, *arguments: str) -> str:
    file = str(folder / "tokens.json")
    return subprocess.run(
        [sys.executable, "-m", "service.cli", "token", *arguments, "--tokens-file", file],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_token_made_while_running_works_at_once(
    store: TokenStore, ask: Callable[[str], httpx.Response]
) -> None:
    assert ask(store.create("first")).status_code == 200
    assert ask(store.create("second")).status_code == 200


def test_a_token_of_the_command_line_works_and_revoked_is_refused_within_2_s(
    store: TokenStore, folder: Path, ask: Callable[[str], httpx.Response]
) -> None:
    text = token_command(folder, "create", "operator", "--expires", "90d")
    assert ask(text).status_code == 200
    token_command(folder, "revoke", "operator")
    assert refused_after_s(ask, text, time.monotonic()) < LIMIT_S


def test_a_token_revoked_under_requests_is_refused_within_2_s(
    store: TokenStore, ask: Callable[[str], httpx.Response]
) -> None:
    text = store.create("gone")
    assert ask(text).status_code == 200
    store.revoke("gone")
    assert refused_after_s(ask, text, time.monotonic()) < LIMIT_S


def test_both_secrets_of_a_rotated_token_work_and_the_old_one_ends_after_its_grace(
    store: TokenStore, ask: Callable[[str], httpx.Response]
) -> None:
    old = store.create("rotated")
    new = store.rotate("rotated", grace=timedelta(hours=1))
    assert [ask(text).status_code for text in (old, new, old)] == [200] * 3
    newest = store.rotate("rotated", grace=timedelta(0))
    assert refused_after_s(ask, old, time.monotonic()) < LIMIT_S
    assert [ask(text).status_code for text in (old, new, newest)] == [401, 401, 200]


def test_a_token_expires_under_requests(store: TokenStore, ask: Callable[[str], httpx.Response]) -> None:
    text = store.create("brief", expires_in=timedelta(seconds=1))
    made_s = time.monotonic()
    assert ask(text).status_code == 200
    assert 1.0 <= refused_after_s(ask, text, made_s) < LIMIT_S
    assert "expired" in ask(text).json()["error"]["message"]


def test_expired_tokens_ban_nobody_and_misspelt_ones_are_told_so(
    store: TokenStore, ask: Callable[[str], httpx.Response]
) -> None:
    good, expired = store.create("good"), store.create("expired", expires_in=timedelta(0))
    assert [ask(expired).status_code for _ in range(10)] == [401] * 10
    response = ask(good[:-1] + ("a" if good[-1] != "a" else "b"))
    assert response.status_code == 401
    assert "checksum" in response.json()["error"]["message"]
    assert ask(good).status_code == 200


def test_last_use_is_there_after_the_end(tiny_model: Path, tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    used = store.create("used")
    store.create("idle")
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        for _ in range(3):
            response = httpx.get(f"{server.url}/info", headers={"Authorization": f"Bearer {used}"})
            assert response.status_code == 200
        assert not (tmp_path / "tokens.used.json").exists()
    assert {record.name: record.last_used_at is not None for record in store.list()} == {
        "used": True,
        "idle": False,
    }
