"""What the audit log has, and how little a flood leaves in it."""

import asyncio
import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from service.errors import ConfigError
from service.refusal import Refusal
from service.telemetry.audit import AuditLog
from service.telemetry.audit_file import AuditFile
from service.telemetry.audit_flood import HourlyBudget, Repeats

ADDRESS = "203.0.113.9"
WRONG = Refusal(reason="wrong_token", address=ADDRESS, token_id="abcdefgh")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Lines:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Mapping[str, object]]] = []

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        self.all.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.all]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(lines: Lines, clock: Clock) -> AuditLog:
    return AuditLog(lines, clock=clock, repeats=Repeats(max_keys=50), budget=HourlyBudget(max_lines=100))


def test_a_refusal_has_its_reason_address_token_id_and_request(audit: AuditLog, lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        audit.refused(WRONG)
        audit.refused(Refusal(reason="expired", address=ADDRESS, token_id="abcdefgh"))
        audit.refused(Refusal(reason="rate_limited", address=ADDRESS, limit="address"))
        audit.refused(Refusal(reason="concurrency", address=ADDRESS, token_id="abcdefgh"))
        audit.refused(Refusal(reason="forbidden", address=ADDRESS, token_id="abcdefgh"))
        audit.banned(ADDRESS, 300.0)
        audit.refused(Refusal(reason="banned", address=ADDRESS, left_s=299.0))
    audit.store_changed(is_up=False)
    audit.store_changed(is_up=True)
    where = {"address": ADDRESS, "request_id": "r-1"}
    assert lines.all == [
        ("token_refused", where | {"reason": "wrong_token", "token_id": "abcdefgh"}),
        ("token_expired", where | {"token_id": "abcdefgh"}),
        ("rate_limited", where | {"limit": "address"}),
        ("concurrency_refused", where | {"token_id": "abcdefgh"}),
        ("model_forbidden", where | {"token_id": "abcdefgh"}),
        ("address_banned", where | {"left_s": 300.0}),
        ("banned_address_refused", where | {"left_s": 299.0}),
        ("store_down", {}),
        ("store_up", {}),
    ]


def test_requests_without_a_token_leave_nothing(audit: AuditLog, lines: Lines) -> None:
    audit.refused(Refusal(reason="no_token", address=ADDRESS))
    audit.sweep(float("inf"))
    assert lines.all == []


def test_a_banned_addresss_requests_are_one_line_and_a_number_when_the_ban_is_over(
    audit: AuditLog, lines: Lines, clock: Clock
) -> None:
    for _ in range(1000):
        clock.now += 0.2
        audit.refused(Refusal(reason="banned", address=ADDRESS, left_s=1_000_300.0 - clock.now))
        audit.sweep(clock.now)
    assert lines.events == ["banned_address_refused"]
    clock.now = 1_000_301.0
    audit.sweep(clock.now)
    assert lines.all[1:] == [("banned_address_refused", {"address": ADDRESS, "more": 999})]


def test_a_ban_that_many_requests_tell_of_is_one_line(audit: AuditLog, lines: Lines) -> None:
    for _ in range(5):
        audit.banned(ADDRESS, 300.0)
    audit.sweep(float("inf"))
    assert lines.events == ["address_banned"]


def test_equal_refusals_of_a_minute_are_one_line_and_a_number(
    audit: AuditLog, lines: Lines, clock: Clock
) -> None:
    for _ in range(10):
        audit.refused(WRONG)
    audit.refused(Refusal(reason="wrong_token", address="203.0.113.10", token_id="abcdefgh"))
    clock.now += 61
    audit.sweep(clock.now)
    audit.refused(WRONG)
    assert lines.events == ["token_refused"] * 4
    assert [fields.get("more") for _, fields in lines.all] == [None, None, 9, None]


def test_an_event_again_after_its_minute_is_written_though_nothing_was_swept(
    audit: AuditLog, lines: Lines, clock: Clock
) -> None:
    for _ in range(3):
        audit.refused(WRONG)
        audit.refused(WRONG)
        clock.now += 61
    assert lines.events == ["token_refused"] * 3
    audit.sweep(clock.now)
    assert lines.all[-1][1]["more"] == 3


def test_a_flood_of_addresses_leaves_a_bounded_number_of_lines_an_hour(
    audit: AuditLog, lines: Lines, clock: Clock
) -> None:
    audit.sweep(clock.now)
    for number in range(5000):
        audit.refused(Refusal(reason="wrong_token", address=f"2001:db8:0:{number:x}::/64"))
    audit.banned(ADDRESS, 300.0)
    assert lines.events == ["token_refused"] * 100 + ["address_banned"]
    clock.now += 3601
    audit.sweep(clock.now)
    assert ("events_dropped", {"dropped": "token_refused", "count": 4900}) in lines.all
    audit.refused(WRONG)
    assert lines.events[-1] == "token_refused"


async def test_what_was_counted_is_written_when_the_service_ends(audit: AuditLog, lines: Lines) -> None:
    running = asyncio.create_task(audit.run())
    await asyncio.sleep(0)
    audit.refused(WRONG)
    audit.refused(WRONG)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert lines.all[-1][1]["more"] == 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def file(path: Path) -> AuditFile:
    return AuditFile(path, utc_now=lambda: datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))


def test_the_file_is_its_owners_alone_and_has_a_line_of_json_for_each_event(
    file: AuditFile, path: Path
) -> None:
    old = os.umask(0)
    try:
        file.write("token_refused", {"address": ADDRESS})
    finally:
        os.umask(old)
    file.write("odd", {"text": "a\nb\x1b[31m\x9b\u2028ü"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().isascii()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {"time": "2026-01-02T03:04:05.678+00:00", "event": "token_refused", "address": ADDRESS}
    assert second["text"] == "a\nb\x1b[31m\x9b\u2028ü"
    assert b"\x1b" not in path.read_bytes()


def test_a_rotated_file_is_begun_anew_and_a_cut_one_goes_on(file: AuditFile, path: Path) -> None:
    file.write("one", {})
    path.rename(path.with_suffix(".1"))
    file.write("two", {})
    assert json.loads(path.read_text())["event"] == "two"
    os.truncate(path, 0)
    file.write("three", {})
    assert json.loads(path.read_text())["event"] == "three"


def test_what_cannot_be_written_is_logged_and_told_once(path: Path, file: AuditFile) -> None:
    path.mkdir()
    with structlog.testing.capture_logs() as logs:
        file.write("one", {"address": ADDRESS})
        file.write("two", {})
        path.rmdir()
        file.write("three", {})
    assert [line["event"] for line in logs] == ["audit_log_not_written", "one", "two"]
    assert {line["logger"] for line in logs} == {"audit"}
    assert json.loads(path.read_text())["event"] == "three"


def test_a_pipe_that_nobody_reads_stops_nothing(path: Path, file: AuditFile) -> None:
    os.mkfifo(path)
    with structlog.testing.capture_logs() as logs:
        file.write("one", {})
    assert [line["event"] for line in logs] == ["audit_log_not_written", "one"]


def test_a_file_in_no_folder_is_refused_at_start_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        AuditFile(tmp_path / "no" / "audit.jsonl", utc_now=lambda: datetime.now(UTC)).check()
    AuditFile(tmp_path / "audit.jsonl", utc_now=lambda: datetime.now(UTC)).check()
    assert list(tmp_path.iterdir()) == []


def test_a_ban_after_one_that_was_lifted_is_written_too(audit: AuditLog, lines: Lines, clock: Clock) -> None:
    audit.banned(ADDRESS, 300)
    audit.banned(ADDRESS, 300)
    clock.now += 100
    audit.banned(ADDRESS, 200)
    assert lines.events == ["address_banned"]
    audit.banned(ADDRESS, 300)
    assert lines.events == ["address_banned", "address_banned"]
