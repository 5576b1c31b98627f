"""docs/clients.md lists what the tests of this folder declare."""

from pathlib import Path

import pytest

from tests.clients import matrix


def test_the_documented_calls_are_the_declared_ones(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-client-matrix", default=False):
        pytest.skip("docs/clients.md is written at the end of this run")
    documented = matrix.documented_calls(matrix.DOCUMENT.read_text(encoding="utf-8"))
    declared = matrix.declared_calls(Path(__file__).parent)
    advice = f"docs/clients.md is out of date; write it with {matrix.COMMAND}"
    assert declared, "no test declares a call"
    versions = {call: version for call, (version, _) in documented.items()}
    assert versions == {call: matrix.version_of(call.client) for call in declared}, advice
    assert "fails" not in {result for _, result in documented.values()}, advice


@pytest.mark.parametrize(
    ("found", "expected"),
    [(["works", "works"], "works"), (["works", "fails"], "fails"), (["no: x"], "no: x")],
)
def test_a_call_works_only_where_every_test_of_it_does(found: list[str], expected: str) -> None:
    assert matrix.worst(found) == expected
