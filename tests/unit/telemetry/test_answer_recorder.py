"""Refusals have the words that clients see."""

import pytest
from prometheus_client import CollectorRegistry

from service import errors
from service.api.errors import kind_of, kind_of_status
from service.telemetry.answer_recorder import FORBIDDEN, REJECTIONS, AnswerRecorder

REFUSALS = [
    errors.ValidationError("why"),
    errors.UnauthorizedError("why"),
    errors.BannedError("why", retry_after_s=1),
    errors.NotFoundError("why"),
    errors.TooLargeError("why"),
    errors.OverloadedError("why", retry_after_s=1),
    errors.UnavailableError("why", retry_after_s=1),
]


def test_reasons_are_the_types_of_the_errors() -> None:
    kinds = [*(kind_of(error) for error in REFUSALS), kind_of_status(405)]
    assert {kind.status: kind.type for kind in kinds} == REJECTIONS


@pytest.mark.parametrize(
    ("status", "is_probe", "counted"), [(503, False, 1), (503, True, 0), (500, False, 0), (200, False, 0)]
)
def test_only_refused_requests_are_rejected_not_probes_nor_failures(
    status: int, is_probe: bool, counted: float
) -> None:
    registry = CollectorRegistry()
    AnswerRecorder(registry).answered(route="/r", status=status, is_probe=is_probe, is_known=True)
    rejected = [
        registry.get_sample_value("tiber_rejected_requests_total", {"reason": reason})
        for reason in REJECTIONS.values()
    ]
    assert sum(value or 0 for value in rejected) == counted
    assert registry.get_sample_value("tiber_http_requests_total", {"route": "/r", "status": str(status)}) == 1


@pytest.mark.parametrize(("is_known", "reason"), [(True, "forbidden"), (False, "banned")])
def test_403_is_a_ban_but_for_whom_brought_a_right_token(is_known: bool, reason: str) -> None:
    registry = CollectorRegistry()
    AnswerRecorder(registry).answered(route=None, status=403, is_probe=False, is_known=is_known)
    counted = {
        one: registry.get_sample_value("tiber_rejected_requests_total", {"reason": one})
        for one in ("banned", "forbidden")
    }
    assert counted == {"banned": 0, "forbidden": 0} | {reason: 1}
    assert kind_of(errors.ForbiddenError("why")).type == FORBIDDEN
