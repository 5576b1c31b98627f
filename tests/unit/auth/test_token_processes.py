"""Services and commands on the same files at once: nothing is lost, whoever comes first."""

import asyncio
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.auth.last_use import LastUses
from service.auth.token_file import read_tokens
from service.auth.token_text import id_of
from service.auth.tokens import TokenStore

ROUNDS = 10
USED = 30


def change_tokens(path: Path, prefix: str) -> None:
    """What an operator's commands do: every round makes two, renews one and revokes the other."""
    store = TokenStore(path)
    for number in range(ROUNDS):
        store.create(f"{prefix}{number}")
        store.create(f"{prefix}{number}-short")
        store.rotate(f"{prefix}{number}", grace=timedelta(days=1))
        store.revoke(f"{prefix}{number}-short")


def save_uses(path: Path, token_ids: list[str]) -> None:
    """What a service does, faster: each token is used once, and saved by itself."""

    async def serve() -> None:
        uses = LastUses(
            path.with_name("tokens.used.json"),
            known_ids=lambda: {token.id for token in read_tokens(path)},
            utc_now=lambda: datetime.now(UTC),
        )
        task = asyncio.create_task(uses.run(flush_s=0.001))
        for token_id in token_ids:
            uses.note(token_id)
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(serve())


def test_commands_and_services_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    store = TokenStore(path)
    used = [f"used-{number}" for number in range(3 * USED)]
    ids = [id_of(store.create(name)) for name in used]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=change_tokens, args=(path, prefix)) for prefix in ("a", "b", "c")]
    processes += [context.Process(target=save_uses, args=(path, ids[part::3])) for part in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    records = store.list()
    made = [record.name for record in records if record.rotated_at is None]
    expected = [f"{prefix}{number}" for prefix in "abc" for number in range(ROUNDS)]
    assert sorted(made) == sorted([*used, *expected])
    assert sorted(record.name for record in records if record.rotated_at) == sorted(expected)
    assert {record.name for record in records if record.last_used_at} == set(used)
