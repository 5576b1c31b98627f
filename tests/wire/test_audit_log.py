"""The access log and the audit log of a running service: who came, and never with what secret."""

import json
import re
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.auth.token_text import new_token
from service.auth.tokens import TokenStore
from tests.support.exposition import Exposition
from tests.support.raw_http import exchange
from tests.support.redis import running_redis
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

TEXT = {"inputs": "abc", "parameters": {"max_new_tokens": 2}}
PROXY = '[auth]\ntrusted_proxies = ["127.0.0.1"]\n'
# What starts a command to a terminal, or a new line.
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]")


def lines_of(path: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def wait_for(path: Path, event: str, count: int) -> list[dict[str, Any]]:
    """The log line of a request may come a moment after its answer."""
    deadline = time.monotonic() + 10
    while not path.exists() or len(found := lines_of(path, event)) < count:
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    store = TokenStore(folder / "tokens.json")
    texts = {
        "alice": store.create("alice"),
        "rated": store.create("rated", rate="1/m", burst=1),
        "expired": store.create("expired", expires_in=timedelta(seconds=1)),
    }
    time.sleep(1)
    return texts


@pytest.fixture(scope="module")
def server(folder: Path, tokens: dict[str, str], tiny_model: Path) -> Iterator[RunningServer]:
    config = f'{PROXY}audit_log = "audit.jsonl"\n' + fake_model(tiny_model)
    with running_server(folder, config) as running:
        yield running


def ask(server: RunningServer, token: str | None, address: str, path: str = "/info") -> httpx.Response:
    headers = {"x-forwarded-for": address}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return httpx.get(server.url + path, headers=headers)


def id_of(token: str) -> str:
    return token.split("_")[1]


def test_each_request_is_a_line_that_tells_who_asked_for_what(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    headers = {
        "authorization": f"Bearer {tokens['alice']}",
        "x-forwarded-for": "198.51.100.7",
        "x-request-id": "who-asked",
    }
    httpx.post(f"{server.url}/tiny/generate?secret=query", json=TEXT, headers=headers)
    httpx.post(f"{server.url}/generate", json=TEXT, headers=headers | {"authorization": "Bearer wrong"})
    httpx.get(f"{server.url}/ui", headers=headers)
    wait_for(server.log, "request", 3)
    found = [line for line in lines_of(server.log, "request") if line.get("request_id") == "who-asked"]
    for line in found:
        assert line.pop("duration_ms") >= 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line.pop("timestamp"))
    same = {"event": "request", "level": "info", "request_id": "who-asked", "client": "198.51.100.7"}
    assert found == [
        same
        | {"method": "POST", "path": "/generate", "model": "tiny", "status": 200}
        | {"token_id": id_of(tokens["alice"])},
        same | {"method": "POST", "path": "/generate", "status": 401},
        same | {"method": "GET", "path": "/ui", "status": 200},
    ]


def test_the_model_is_told_however_it_was_chosen(server: RunningServer, tokens: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {tokens['alice']}", "x-request-id": "by-body"}
    httpx.post(f"{server.url}/generate", json=TEXT, headers=headers)
    wait_for(server.log, "request", 1)
    found = [line for line in lines_of(server.log, "request") if line.get("request_id") == "by-body"]
    assert found[0]["model"] == "tiny"


def test_refusals_and_bans_are_in_the_audit_log_with_address_token_id_and_request(
    server: RunningServer, folder: Path, tokens: dict[str, str]
) -> None:
    address = "198.51.100.20"
    wrong = new_token()[1]
    misspelt = tokens["alice"][:-1] + ("a" if tokens["alice"][-1] != "a" else "b")
    for token in (None, tokens["expired"], misspelt, *[wrong] * 4, tokens["alice"], tokens["alice"]):
        answer = ask(server, token, address)
    assert answer.status_code == 403
    audit = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    mine = [line for line in audit if line.get("address") == address]
    for line in mine:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", line.pop("time"))
        assert re.fullmatch(r"[0-9a-f]{16}", line.pop("request_id"))
        if "left_s" in line:
            assert 299 <= line.pop("left_s") <= 300
    assert mine == [
        {"event": "token_expired", "address": address, "token_id": id_of(tokens["expired"])},
        {"event": "token_refused", "reason": "malformed", "address": address, "token_id": id_of(misspelt)},
        {"event": "token_refused", "reason": "wrong_token", "address": address, "token_id": id_of(wrong)},
        {"event": "address_banned", "address": address},
        {"event": "banned_address_refused", "address": address},
    ]
    assert stat.S_IMODE((folder / "audit.jsonl").stat().st_mode) == 0o600


def test_an_expired_token_is_told_since_when_and_bans_nobody(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    for _ in range(8):
        answer = ask(server, tokens["expired"], "198.51.100.30")
        assert answer.status_code == 401
        assert re.search(
            r"expired on \d{4}-\d\d-\d\d at \d\d:\d\d UTC: ask", answer.json()["error"]["message"]
        )
    assert ask(server, tokens["alice"], "198.51.100.30").status_code == 200


def test_a_used_up_rate_is_in_the_audit_log_once_a_minute(
    server: RunningServer, folder: Path, tokens: dict[str, str]
) -> None:
    statuses = [ask(server, tokens["rated"], "198.51.100.40").status_code for _ in range(20)]
    assert statuses == [200] + [429] * 19
    limited = lines_of(folder / "audit.jsonl", "rate_limited")
    assert [(line["limit"], line["token_id"]) for line in limited] == [("token", id_of(tokens["rated"]))]


def test_the_audit_log_goes_on_in_a_new_file_when_the_old_one_was_moved(
    server: RunningServer, folder: Path
) -> None:
    ask(server, "wrong", "198.51.100.50")
    (folder / "audit.jsonl").rename(folder / "audit.jsonl.1")
    ask(server, "wrong", "198.51.100.51")
    (line,) = lines_of(folder / "audit.jsonl", "token_refused")
    assert line["address"] == "198.51.100.51"


def test_without_a_file_the_events_are_in_the_common_log(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        for _ in range(7):
            httpx.get(f"{server.url}/info", headers={"authorization": "Bearer wrong"})
        wait_for(server.log, "request", 7)
        audit = [json.loads(line) for line in server.log.read_text().splitlines() if '"audit"' in line]
    # The repeated ones come as numbers when the service ends.
    assert [line["event"] for line in audit] == [
        "token_refused",
        "address_banned",
        "banned_address_refused",
    ]
    assert {line["address"] for line in audit} == {"127.0.0.1"}
    ended = [json.loads(line) for line in server.log.read_text().splitlines() if '"more"' in line]
    assert {line["event"]: line["more"] for line in ended} == {
        "token_refused": 4,
        "banned_address_refused": 1,
    }


def test_a_store_that_goes_away_and_comes_back_is_told_once_each_time(
    tiny_model: Path, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    with running_redis(tmp_path) as redis:
        config = f'[auth]\naudit_log = "audit.jsonl"\nredis_url = "{redis.url}"\n'
        with running_server(tmp_path, config + fake_model(tiny_model)) as server, server.client() as client:
            assert client.get("/info").status_code == 200
            assert Exposition.of(server.url).value("tiber_auth_store_up") == 1
            redis.kill()
            assert {client.get("/info").status_code for _ in range(20)} == {200}
            wait_for(audit, "store_down", 1)
            away = Exposition.of(server.url)
            assert away.value("tiber_auth_store_up") == 0
            assert away.value("tiber_auth_store_errors_total") >= 1
            redis.start()
            wait_for(audit, "store_up", 1)
            assert Exposition.of(server.url).value("tiber_auth_store_up") == 1
    assert [json.loads(line)["event"] for line in audit.read_text().splitlines()] == [
        "store_down",
        "store_up",
    ]


def test_an_audit_log_in_no_folder_is_refused_at_start(tiny_model: Path, tmp_path: Path) -> None:
    config = '[auth]\naudit_log = "no/such/audit.jsonl"\n' + fake_model(tiny_model)
    with running_server(tmp_path, config, is_ready=False) as server:
        assert server.wait_exit() == 2
        assert "there is no folder" in server.log.read_text()


SECRETS = {"a-wrong-token-Zm9vYmFy", "aW5zaWRlIHRoZSBib2R5"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_of_a_client_is_in_anything_the_service_writes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    monkeypatch.setenv("TIBER_LOG_FORMAT", log_format)
    config = PROXY.replace("[auth]\n", "[auth]\nmax_failures = 1000\n") + 'audit_log = "audit.jsonl"\n'
    config = f'log_level = "debug"\n{config}' + fake_model(tiny_model)
    plain, in_body = sorted(SECRETS)
    store = TokenStore(tmp_path / "tokens.json")
    right, revoked = store.create("right"), store.create("revoked")
    store.revoke("revoked")
    shaped = [new_token()[1], revoked, right, right[:-1], revoked.replace("_", "", 1)]
    with running_server(tmp_path, config) as server:
        with server.client() as good:
            for token in (plain, *shaped):
                send_everywhere(server, good, token, in_body)
        written = [
            httpx.get(f"{server.url}/metrics").content,
            *(path.read_bytes() for path in tmp_path.rglob("*") if path.name != "tiber-serve.toml"),
        ]
        assert server.log.read_bytes().count(b"request") > 50
    written.append(server.log.read_bytes())
    secrets = [plain, in_body, server.token, *(token.split("_")[-1][:20] for token in shaped)]
    for secret in secrets:
        for content in written:
            assert secret.encode() not in content, secret


def send_everywhere(server: RunningServer, good: httpx.Client, token: str, in_body: str) -> None:
    """A secret in every part of a request that a client may have put it into by mistake."""
    body = {"inputs": in_body, "parameters": {"max_new_tokens": 1}}
    for value in (f"Bearer {token}", token, f"Basic {token}", f"Bearer {token} {token}", f"bearer\t{token}"):
        httpx.post(f"{server.url}/generate", json=body, headers={"authorization": value})
    names = ["x-api-key", "cookie", "x-forwarded-for", "forwarded", "traceparent"]
    # A request id is logged: there, and in a path, a text is a secret only where it looks like one.
    names += ["x-request-id"] if token.startswith("tsv_") else []
    for name in names:
        httpx.post(f"{server.url}/generate", json=body, headers={name: token})
        good.post("/generate", json=body, headers={name: token})
    good.post(f"/generate?token={token}", json=body)
    good.post("/generate", json=body | {"parameters": {"stop": [token], "seed": token}})
    good.post("/generate", json=body | {token: 1})
    good.post("/generate", json=body | {"model": token})
    good.post("/v1/chat/completions", json={"messages": [{"role": token, "content": token}], "model": token})
    good.post("/generate", content=token.encode())
    good.request("POST", "/tokenize", json={"inputs": token})
    if token.startswith("tsv_"):
        good.get(f"/{token}")
        httpx.get(f"{server.url}/generate/{token}/x")
        good.get(f"/{token}/info")


FORGED = '{"event": "request", "status": 200, "forged": true}'
PATHS = [
    b"/%0a" + FORGED.encode().replace(b'"', b"%22").replace(b" ", b"%20"),
    b"/%0d%0a2026-01-01%20[info]%20forged",
    b"/%1b[31mred%1b[2J%1b]0;title%07",
    b"/%c2%9b31mred",
    b"/%e2%80%aeesrever%e2%80%a8line",
    b"/%00%08%7f",
    b"/%ff%fe",
    b"/" + b"a" * 8000,
]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_path_nor_request_id_forges_a_line_or_commands_a_terminal(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    monkeypatch.setenv("TIBER_LOG_FORMAT", log_format)
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        before = server.log.read_bytes().count(b"\n")
        rest = f"Host: x\r\nAuthorization: Bearer {server.token}\r\nConnection: close\r\n".encode()
        for path in PATHS:
            answer = exchange(server, b"GET " + path + b" HTTP/1.1\r\n" + rest + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 404 "), answer
        for request_id in (b"\x1b[31m", b"a\tb", b"\xc2\x9b", b"x" * 65, FORGED.encode()):
            header = b"X-Request-Id: " + request_id + b"\r\n\r\n"
            answer = exchange(server, b"GET /info HTTP/1.1\r\n" + rest + header)
            assert b"forged" not in answer
        deadline = time.monotonic() + 5
        while server.log.read_bytes().count(b"\n") < before + len(PATHS) and time.monotonic() < deadline:
            time.sleep(0.02)
        written = server.log.read_bytes().split(b"\n", before)[before]
    assert not CONTROL.search(written)
    lines = written.decode().splitlines()
    if log_format == "json":
        assert not any("forged" in json.loads(line) for line in lines)
    assert all(len(line) < 700 for line in lines)
    forged = [line for line in lines if "forged" in line]
    assert len(forged) == 2
    assert all(re.match(r'\{"method"|\S*\d{4}-\d\d-\d\dT', line) for line in forged)
