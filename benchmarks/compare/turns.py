"""Runs a comparison: all servers started, one busy at a time, A B C A B C."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from benchmarks import load
from benchmarks.compare.entrant import Entrant, entrants
from benchmarks.compare.measurement import Client, Measured, measure
from benchmarks.compare.results import CompareResults, Level
from benchmarks.compare.settings import CompareSettings
from benchmarks.compare.summary import figures, versus
from benchmarks.credentials import Credentials
from benchmarks.peer import Peer
from benchmarks.peers.contender import Contender
from benchmarks.workload import make_texts

_CLIENT_READY_S = 60.0
_SETTLE_S = 2.0
_IDLE_WINDOW_S = 2.0

Say = Callable[[str], None]


def compare(
    contenders: list[Contender],
    settings: CompareSettings,
    *,
    credentials: Credentials,
    advance: Callable[[], None],
    say: Say,
) -> CompareResults:
    """Measure all contenders in turns; one that fails is left out from there on, and its failure is kept.

    `credentials` are for contenders that run already. `advance` is called after each of the `turns`.

    Raises:
        BenchmarkError: the client's process can't be started.
    """
    everyone = entrants(contenders)
    enter = partial(Entrant.enter, credentials=credentials, uses_tuning=settings.uses_tuning, say=say)
    with ExitStack() as stack:
        client: Client = Peer(load.serve)
        stack.callback(client.close)
        client.wait_ready(_CLIENT_READY_S)
        for entrant in everyone:
            if not entrant.is_sized:
                enter(entrant, stack, max(settings.concurrencies))
        levels = []
        for concurrency in settings.concurrencies:
            with ExitStack() as sized:
                for entrant in everyone:
                    if entrant.is_sized:
                        enter(entrant, sized, concurrency)
                _watch_idle(everyone)
                levels.append(_level(everyone, client, concurrency, settings, advance, say))
    return CompareResults(sides=[entrant.side() for entrant in everyone], levels=levels)


def turns(contenders: list[Contender], settings: CompareSettings) -> int:
    """How many measurements there will be when none fails, those of warming up included."""
    return len(contenders) * (settings.rounds + 1) * len(settings.concurrencies)


def _watch_idle(everyone: list[Entrant]) -> None:
    """See how much CPU servers take that have settled and wait; from then on they are held still."""
    fresh = [entrant for entrant in everyone if not entrant.is_suspended]
    time.sleep(_SETTLE_S)
    before = [entrant.cpu_s() for entrant in fresh]
    time.sleep(_IDLE_WINDOW_S)
    for entrant, earlier_s in zip(fresh, before, strict=True):
        later_s = entrant.cpu_s()
        if earlier_s is not None and later_s is not None:
            entrant.note_idle((later_s - earlier_s) / _IDLE_WINDOW_S)
        entrant.hold()


def _level(
    everyone: list[Entrant],
    client: Client,
    concurrency: int,
    settings: CompareSettings,
    advance: Callable[[], None],
    say: Say,
) -> Level:
    found: dict[str, list[Measured]] = {entrant.contender.label: [] for entrant in everyone}
    for turn in range(settings.rounds + 1):
        is_warm_up = turn == 0
        prompts = make_texts(
            seed=f"{settings.seed}/{settings.run_id}/{concurrency}/{turn}",
            count=settings.requests(concurrency),
            words=settings.prompt_words,
        )
        # Another one begins each round: drift within a round must not fall on the same one always.
        begins = turn % len(everyone)
        for entrant in everyone[begins:] + everyone[:begins]:
            if entrant.serving is None:
                continue
            with entrant.failing_softly(f"at {concurrency} requests at once: "):
                one = measure(entrant, client, prompts, concurrency=concurrency, tokens=settings.tokens)
                if not is_warm_up:
                    found[entrant.contender.label].append(one)
            advance()
        if not is_warm_up:
            say(_line(concurrency, f"{turn}/{settings.rounds}", found))
    whole = {label: rounds for label, rounds in found.items() if len(rounds) == settings.rounds}
    return Level(
        concurrency=concurrency,
        requests_per_round=settings.requests(concurrency),
        figures={label: figures(rounds) for label, rounds in whole.items()},
        ratios=[
            versus(ours.contender.label, peer.contender.label, whole)
            for ours in everyone
            for peer in everyone
            if ours.is_ours
            and not peer.is_ours
            and {ours.contender.label, peer.contender.label} <= set(whole)
        ],
    )


def _line(concurrency: int, turn: str, found: dict[str, list[Measured]]) -> str:
    shown = ", ".join(
        f"{label} {rounds[-1].round.tokens_per_s:.1f}" for label, rounds in found.items() if rounds
    )
    return f"{concurrency:3d} at once, round {turn}: {shown} tokens/s"
