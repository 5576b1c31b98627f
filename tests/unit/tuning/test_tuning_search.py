import asyncio

import pytest
from tuning_fakes import CONTROL, DEFAULTS, REFERENCE, Script, ScriptedLaboratory, ScriptedTrial, plan

from service.tuning import rounds
from service.tuning.candidate import EXACT, Candidate, Sample
from service.tuning.errors import TuningError
from service.tuning.ledger import Entry, Ledger
from service.tuning.plan import Plan
from service.tuning.search import Outcome, Search
from service.tuning.space import Stage


async def searched(laboratory: ScriptedLaboratory, wanted: Plan) -> Outcome:
    search = Search(wanted, laboratory, clock=laboratory.clock, tell=lambda _step, _names: None)
    outcome = await search.run()
    assert laboratory.open_now == []
    assert laboratory.most_open <= laboratory.most_at_once
    return outcome


def entry(outcome: Outcome, name: str) -> Entry:
    return next(one for one in outcome.ledger.entries if one.candidate.name == name)


def candidates(*names: str) -> list[Candidate]:
    return [Candidate(name=name) for name in names]


async def test_the_fastest_of_many_noisy_candidates_wins() -> None:
    names = [f"c{index}" for index in range(9)]
    scripts = {name: Script(alone=90 + 2 * index) for index, name in enumerate(names)}
    scripts["c4"] = Script(alone=150, together=1100)
    outcome = await searched(ScriptedLaboratory(scripts, noise=0.05), plan(candidates(*names)))
    assert outcome.winner.candidate.name == "c4"
    assert outcome.winner.gain is not None
    assert outcome.winner.gain.alone == pytest.approx(1.5, rel=0.08)


async def test_what_is_not_better_beyond_noise_keeps_what_is_used_now_and_says_so() -> None:
    scripts = {"a": Script(alone=101), "b": Script(together=1005)}
    outcome = await searched(ScriptedLaboratory(scripts, noise=0.01), plan(candidates("a", "b")))
    assert outcome.winner.candidate == CONTROL
    assert "nothing was better" in outcome.reason or "not beyond noise" in outcome.reason


async def test_balanced_gives_away_at_most_a_twentieth_at_many_requests() -> None:
    scripts = {"greedy": Script(alone=300, together=900), "fair": Script(alone=150, together=980)}
    outcome = await searched(ScriptedLaboratory(scripts), plan(candidates("greedy", "fair")))
    assert outcome.winner.candidate.name == "fair"


@pytest.mark.parametrize(
    ("objective", "winner"), [("latency", "quick"), ("throughput", "wide"), ("balanced", "both")]
)
async def test_each_objective_finds_its_own(objective: str, winner: str) -> None:
    scripts = {
        "quick": Script(alone=200, together=800, ttft_s=0.05),
        "wide": Script(alone=60, together=1400),
        "both": Script(alone=150, together=1390),
    }
    wanted = plan(candidates("quick", "wide", "both"), objective=objective)  # type: ignore[arg-type]
    assert (await searched(ScriptedLaboratory(scripts), wanted)).winner.candidate.name == winner


async def test_what_is_too_far_from_the_reference_is_named_and_never_chosen() -> None:
    scripts = {"wrong": Script(alone=900, together=9000, off=0.07), "right": Script(alone=130, off=0.06)}
    outcome = await searched(ScriptedLaboratory(scripts), plan(candidates("wrong", "right")))
    assert outcome.bound == pytest.approx(0.05 * 1.25)
    assert outcome.winner.candidate.name == "right"
    assert entry(outcome, "wrong").state == "too far"
    assert "0.0700 nats" in entry(outcome, "wrong").note


@pytest.mark.parametrize("fails_at", ["open", "measure"])
async def test_what_the_engine_refuses_or_dies_of_is_named_and_the_others_go_on(fails_at: str) -> None:
    scripts = {"bad": Script(fails_at=fails_at), "good": Script(alone=150)}
    outcome = await searched(ScriptedLaboratory(scripts), plan(candidates("bad", "good")))
    assert outcome.winner.candidate.name == "good"
    assert entry(outcome, "bad").state == "failed"
    assert "scripted" in entry(outcome, "bad").note


async def test_a_model_that_does_not_run_at_all_ends_the_search() -> None:
    laboratory = ScriptedLaboratory({REFERENCE.name: Script(fails_at="open")})
    with pytest.raises(TuningError, match="does not run this model with reference"):
        await searched(laboratory, plan(candidates("a")))


async def test_a_control_that_dies_ends_the_search_and_leaves_nothing_running() -> None:
    laboratory = ScriptedLaboratory({CONTROL.name: Script(fails_at="measure")})
    search = Search(plan(candidates("a")), laboratory, clock=laboratory.clock, tell=lambda *_: None)
    with pytest.raises(TuningError, match="used now: scripted death"):
        await search.run()
    assert laboratory.open_now == []


@pytest.mark.parametrize("budget_s", [120, 300, 900])
async def test_the_budget_is_kept_within_a_fifth(budget_s: float) -> None:
    names = [f"c{index}" for index in range(12)]
    laboratory = ScriptedLaboratory({"c3": Script(alone=140)}, round_s=8, noise=0.02)
    began_s = laboratory.now_s
    await searched(laboratory, plan(candidates(*names), candidates("x", "y", "z"), budget_s=budget_s))
    assert laboratory.now_s - began_s < 1.2 * budget_s


@pytest.mark.parametrize("budget_s", [60, 90, 120])
@pytest.mark.parametrize("open_s", [6, 10, 11])
async def test_the_budget_is_kept_where_loading_is_slow(budget_s: float, open_s: float) -> None:
    laboratory = ScriptedLaboratory({"c0": Script(alone=140)}, open_s=open_s)
    began_s = laboratory.now_s
    outcome = await searched(laboratory, plan(candidates("c0", "c1", "c2", "c3"), budget_s=budget_s))
    assert laboratory.now_s - began_s < 1.2 * budget_s
    assert outcome.took_s == laboratory.now_s - began_s


async def test_one_that_is_refused_late_makes_nobody_expect_the_same_of_others() -> None:
    laboratory = ScriptedLaboratory({"bad": Script(fails_at="open", open_s=60)})
    outcome = await searched(laboratory, plan(candidates("bad", "a", "b", "c"), budget_s=300))
    assert {one.candidate.name for one in outcome.ledger.entries if one.state == "not tried"} == set()


async def test_a_budget_that_loading_takes_up_is_refused_with_one_that_is_enough() -> None:
    laboratory = ScriptedLaboratory({}, open_s=20)
    with pytest.raises(TuningError, match=r"loading takes 20\.0 s.*--budget 92s"):
        await searched(laboratory, plan(candidates("a"), budget_s=60))
    assert laboratory.open_now == []


def stuck(name: str, *, after: int = 0) -> ScriptedLaboratory:
    return ScriptedLaboratory(
        {name: Script(alone=150)},
        open_s=0.001,
        score_s=0.001,
        round_s=0.001,
        least_round_s=0.0001,
        stuck=name,
        stuck_after=after,
    )


async def test_a_model_that_does_not_load_within_the_budget_ends_the_search() -> None:
    with pytest.raises(TuningError, match=r"the budget of 0\.1 s was over before the model had loaded twice"):
        await searched(stuck(CONTROL.name), plan(candidates("a"), budget_s=0.1))


async def test_a_candidate_that_never_loads_is_cut_off_and_the_search_comes_to_its_end() -> None:
    outcome = await searched(stuck("a"), plan(candidates("a"), budget_s=0.2))
    assert (entry(outcome, "a").state, entry(outcome, "a").note) == ("not tried", "the budget was spent")
    assert outcome.winner.candidate == CONTROL
    # Nothing was left to compare it with but these.
    assert entry(outcome, DEFAULTS.name).samples
    assert entry(outcome, DEFAULTS.name).state == "running"


async def test_a_best_one_that_does_not_load_again_is_not_chosen_and_its_figures_are_kept() -> None:
    outcome = await searched(stuck("a", after=1), plan(candidates("a"), budget_s=0.2))
    assert outcome.winner.candidate == CONTROL
    assert outcome.reason == "a was best, but the budget was spent before that could be measured"
    assert entry(outcome, "a").samples


async def test_a_candidate_that_loads_far_longer_than_others_leaves_them_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "_LEAST_CUT_S", 0.01)
    found = [Entry(candidate=Candidate(name=name)) for name in ("a", "b")]
    async with rounds.opened(stuck("a"), found, usual_s=0.001) as running:
        assert [one.candidate.name for one, _ in running] == ["b"]
    assert (found[0].state, found[0].note) == ("failed", "not loaded 10 times as long as others take")


async def test_what_the_budget_did_not_reach_is_named() -> None:
    names = [f"c{index}" for index in range(40)]
    outcome = await searched(ScriptedLaboratory({}), plan(candidates(*names), budget_s=60))
    assert {one.state for one in outcome.ledger.entries} >= {"not tried"}
    assert entry(outcome, "c39").note == "the budget was spent"


async def test_a_budget_too_small_for_the_model_is_refused_with_one_that_is_not() -> None:
    laboratory = ScriptedLaboratory({}, round_s=8, least_round_s=8)
    with pytest.raises(TuningError, match="--budget 91s"):
        await searched(laboratory, plan(candidates("a"), budget_s=30))


async def test_a_stage_varies_what_the_one_before_found() -> None:
    seen: list[str] = []

    def vary(best: Candidate) -> list[Candidate]:
        seen.append(best.name)
        return [best.changed("more", max_batched_tokens=512)]

    first = plan(candidates("a", "b"))
    wanted = Plan(
        objective=first.objective,
        budget_s=first.budget_s,
        reference=first.reference,
        control=first.control,
        baselines=first.baselines,
        stages=(*first.stages, Stage(name="next", share=0.3, vary=vary)),
    )
    scripts = {"b": Script(alone=150), "b, more": Script(alone=200)}
    outcome = await searched(ScriptedLaboratory(scripts), wanted)
    assert seen == ["b"]
    assert outcome.winner.candidate.name == "b, more"
    assert outcome.winner.candidate.max_batched_tokens == 512


async def test_what_computes_the_same_numbers_is_not_measured_again() -> None:
    kinds = [("a", "64", 0.04), ("b", "128", 0.04), ("c", "32", 0.03)]
    found = [
        Candidate(name=name, properties={"DYNAMIC_QUANTIZATION_GROUP_SIZE": groups})
        for name, groups, _ in kinds
    ]
    scripts = {name: Script(alone=150, off=off) for name, _, off in kinds}
    outcome = await searched(ScriptedLaboratory(scripts), plan(found))
    twin = entry(outcome, "b")
    assert (twin.state, twin.note, twin.samples) == ("same", "computes what a does", [])
    assert entry(outcome, "c").samples


def test_one_round_of_luck_does_not_outdo_what_more_rounds_found() -> None:
    ledger = Ledger("balanced", CONTROL)
    best, lucky = (ledger.entry(one) for one in candidates("best", "lucky"))
    usual = Sample(alone_per_s=100, together_per_s=100, ttft_s=0.1)
    best.samples = best.control = [usual] * 3
    lucky.samples = [Sample(alone_per_s=104, together_per_s=104, ttft_s=0.1)]
    lucky.control = [usual]
    assert ledger.better(best, [lucky]) is best
    lucky.samples, lucky.control = lucky.samples * 2, [usual] * 2
    assert ledger.better(best, [lucky]) is lucky


async def test_reproducible_takes_only_what_is_exact() -> None:
    found = [Candidate(name="fast"), Candidate(name="exact fast", properties={**EXACT, "X": "1"})]
    scripts = {
        DEFAULTS.name: Script(together=9000),
        "fast": Script(alone=500, together=5000),
        "exact fast": Script(alone=120, together=1100),
    }
    outcome = await searched(ScriptedLaboratory(scripts), plan(found, objective="reproducible"))
    assert outcome.winner.candidate.name == "exact fast"


class EndlessTrial(ScriptedTrial):
    async def measure(self) -> Sample:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_candidate_far_slower_than_the_control_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_LEAST_CUT_S", 0.01)
    laboratory = ScriptedLaboratory({})
    slow = EndlessTrial(laboratory, "slow", Script())
    found = Entry(candidate=Candidate(name="slow"))
    await rounds.measure_in_turn(ScriptedTrial(laboratory, "control", Script()), [(found, slow)])
    assert (found.state, found.note) == ("failed", "10 times slower than what is used now")
