"""Every promise in SECURITY.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEAST_ROWS = 15


def _rows() -> list[tuple[str, str, str]]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.split("<!-- attacks -->\n")[1].split("<!-- /attacks -->")[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    return [(attack.strip(), tests.strip(), result.strip()) for attack, tests, result in cells]


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("attack", "tests", "result"), _rows(), ids=[row[0] for row in _rows()])
def test_each_attack_has_tests_that_exist_and_a_result(attack: str, tests: str, result: str) -> None:
    assert attack
    assert result
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert "`" + "` `".join(named) + "`" == tests
    for one in named:
        file, _, name = one.partition("::")
        assert Path(file).name.startswith("test_")
        assert (ROOT / file).is_file(), file
        assert name in _tests_in(ROOT / file), one


def test_the_table_is_long_enough_and_names_each_attack_once() -> None:
    attacks = [attack for attack, _, _ in _rows()]
    assert len(attacks) >= LEAST_ROWS
    assert len(set(attacks)) == len(attacks)
