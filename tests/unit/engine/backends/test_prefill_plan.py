"""No token of a prompt is computed alone, whatever the load: tried on a model of the engine's scheduler."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from service.engine.backends.prefill import SPARE_TOKENS, PrefillPlan
from service.engine.protocol import Done, EngineEvent, TokenDelta

MOST_RUNNING = 6
FIXED = 2


@dataclass
class Scheduler:
    """Fills a step as the engine does: a token of each answer, then prompts in order, the last one cut."""

    step_tokens: int
    prompts: dict[int, int] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    pieces: dict[int, list[int]] = field(default_factory=dict)

    def step(self, fixed: int) -> list[EngineEvent]:
        free = self.step_tokens - fixed - len(self.answers)
        assert free >= 0
        events: list[EngineEvent] = []
        for request_id in list(self.answers):
            events.append(TokenDelta(request_id, [1]))
            self.answers[request_id] -= 1
            if not self.answers[request_id]:
                del self.answers[request_id]
                events.append(Done(request_id, "length"))
        for request_id in list(self.prompts):
            piece = min(free, self.prompts[request_id])
            if piece:
                self.pieces.setdefault(request_id, []).append(piece)
            free -= piece
            self.prompts[request_id] -= piece
            if not self.prompts[request_id]:
                del self.prompts[request_id]
                self.answers[request_id] = 1 + request_id % 5
                events.append(TokenDelta(request_id, [1]))
        return events


def run(prompts: list[int], *, step_tokens: int, cancelled: set[int]) -> Scheduler:
    """Let each begin as soon as it may, beside `FIXED` tokens of others and one that can go."""
    plan, engine = PrefillPlan(step_tokens), Scheduler(step_tokens)
    waiting = list(enumerate(prompts))
    fixed = FIXED + 1
    steps = 0
    while waiting or engine.prompts or engine.answers:
        steps += 1
        assert steps < 10 * (sum(prompts) + 10 * len(prompts)), "nothing goes on"
        if not plan.is_cutting(fixed):
            fixed = FIXED + 1
        while waiting and len(engine.prompts) + len(engine.answers) < MOST_RUNNING:
            number, tokens = waiting[0]
            if not plan.may_begin(tokens, fixed):
                break
            waiting.pop(0)
            plan.begin(number, tokens)
            engine.prompts[number] = tokens
        if plan.leaves_one(fixed):
            fixed -= 1
        events = engine.step(fixed)
        plan.settle(events, fixed)
        if steps in cancelled and engine.prompts:
            number = next(iter(engine.prompts))
            del engine.prompts[number]
            plan.forget(number)
    return engine


@given(
    prompts=st.lists(st.integers(1, 60), min_size=1, max_size=20),
    more_tokens=st.integers(0, 12),
    cancelled=st.sets(st.integers(1, 30), max_size=5),
)
def test_no_piece_of_a_prompt_is_a_single_token(
    prompts: list[int], more_tokens: int, cancelled: set[int]
) -> None:
    step_tokens = MOST_RUNNING + SPARE_TOKENS + FIXED + 1 + more_tokens
    engine = run(prompts, step_tokens=step_tokens, cancelled=cancelled)
    for number, pieces in engine.pieces.items():
        assert min(pieces) > 1 or pieces == [1] == [prompts[number]], (prompts[number], pieces)


def test_without_the_plan_the_model_of_the_scheduler_computes_tokens_alone() -> None:
    engine = Scheduler(20, prompts={0: 14, 1: 22})
    while engine.prompts:
        engine.step(FIXED)
    assert engine.pieces[1] == [4, 17, 1]


def test_short_prompts_share_a_step_and_a_long_one_begins_beside_no_other() -> None:
    plan = PrefillPlan(20)
    assert plan.may_begin(10, FIXED)
    plan.begin(1, 10)
    assert plan.may_begin(8, FIXED)
    assert not plan.may_begin(9, FIXED)
    plan.settle([TokenDelta(1, [1])], FIXED)
    assert plan.is_long(18, FIXED)
    assert plan.may_begin(40, FIXED)
    plan.begin(2, 40)
    assert not plan.may_begin(1, FIXED)
    plan.settle([TokenDelta(1, [1])], FIXED)
    # 23 are left.
    assert not plan.may_begin(1, FIXED)
    plan.settle([TokenDelta(1, [1]), Done(1, "length")], FIXED)
    # 6 of 18 that a step has room for.
    assert plan.may_begin(12, FIXED)
    assert not plan.may_begin(13, FIXED)


def test_one_whose_first_token_does_not_come_when_expected_keeps_others_out_of_its_steps_cut() -> None:
    plan = PrefillPlan(20)
    plan.begin(1, 5)
    plan.settle([], FIXED)
    assert plan.may_begin(17, FIXED)
    assert not plan.may_begin(18, FIXED)
    plan.settle([TokenDelta(1, [1])], FIXED)
    assert plan.may_begin(99, FIXED)
