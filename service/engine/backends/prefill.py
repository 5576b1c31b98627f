"""Sees that the engine computes no token of a prompt alone, cut off from the others of its prompt.

Attention takes a sequence's only token of a step by another kernel than several, and their last bits differ.
The engine fills each step up to `max_num_batched_tokens`: first a token of each answer that runs, then the
prompts in their order, the last one cut where the step is full; OpenVINO GenAI's scheduler calls that
`_schedule_prompt_phase_dynamic_split_fuse`. Where it leaves one token of a prompt depends on the load. So a
prompt begins in a step that has room for the whole of it or, if it is longer than that, beside no other.
"""

from collections.abc import Iterable

from service.engine.protocol import Done, EngineEvent, Failed, TokenDelta

# Those of a step that answers never take: a cut one token earlier, or later, then leaves two at least.
SPARE_TOKENS = 4


class PrefillPlan:
    """What the engine's next steps take of prompts.

    `step_tokens`: its `max_num_batched_tokens`. `fixed` is how many tokens of the next step go to requests
    that this plan is not told of.
    """

    def __init__(self, step_tokens: int) -> None:
        self._step_tokens = step_tokens
        self._answering: set[int] = set()
        # Prompts without a token yet, in the engine's order, with what was not computed before the next step.
        self._left: dict[int, int] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no prompt is left to compute."""
        return not self._left

    def is_cutting(self, fixed: int) -> bool:
        """Whether the next step cuts a prompt: what is added now gets nothing of it."""
        return sum(self._left.values()) > self._free(fixed)

    def is_long(self, tokens: int, fixed: int) -> bool:
        """Whether a prompt of so many tokens takes more than the next step."""
        return tokens > self._free(fixed)

    def may_begin(self, tokens: int, fixed: int) -> bool:
        """Whether a prompt of so many tokens can begin in the next step."""
        return not self._left or sum(self._left.values()) + tokens <= self._free(fixed)

    def begin(self, request_id: int, tokens: int) -> None:
        """Take note that the engine has got a request."""
        self._left[request_id] = tokens

    def leaves_one(self, fixed: int) -> bool:
        """Whether the next step would leave one token of the prompt that it cuts."""
        return sum(self._left.values()) == self._free(fixed) + 1

    def forget(self, request_id: int) -> None:
        """Take note that a request is cancelled."""
        self._left.pop(request_id, None)
        self._answering.discard(request_id)

    def settle(self, events: Iterable[EngineEvent], fixed: int) -> None:
        """Take note of what a step gave, beside so many as when it began."""
        free = self._free(fixed)
        for request_id, tokens in self._left.items():
            # One that should have its first token and has none keeps others from beginning until it has.
            self._left[request_id] = max(1, tokens - free)
        for event in events:
            self._left.pop(event.request_id, None)
            if isinstance(event, TokenDelta):
                self._answering.add(event.request_id)
            elif isinstance(event, Done | Failed):
                self._answering.discard(event.request_id)

    def _free(self, fixed: int) -> int:
        return self._step_tokens - len(self._answering) - fixed
