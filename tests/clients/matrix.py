"""The table in docs/clients.md: what the tests declare, what a run found, and the file's form."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.clients.environments import REQUIREMENTS, ROOT, pinned_version

DOCUMENT = ROOT / "docs" / "clients.md"
COMMAND = ".venv/bin/pytest tests/clients --write-client-matrix"
_ROW = re.compile(r"^\| (?P<client>[^|]+) \| (?P<version>[^|]+) \| (?P<call>[^|]+) \| (?P<result>[^|]+) \|$")
_HEADING = "| client | version | call | result |"
_RULE = "| --- | --- | --- | --- |"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Call:
    """One thing that one client does."""

    client: str
    call: str


def declared_calls(folder: Path) -> set[Call]:
    """Every call that the test modules of a folder declare, read from their marks."""
    return {call for module in sorted(folder.glob("test_*.py")) for call in _calls_of(module)}


def documented_calls(text: str) -> dict[Call, tuple[str, str]]:
    """Each call of the table with its client's version and its result."""
    lines = [line for line in text.splitlines() if line not in (_HEADING, _RULE)]
    rows = [match for line in lines if (match := _ROW.match(line))]
    return {Call(client=row["client"], call=row["call"]): (row["version"], row["result"]) for row in rows}


def version_of(client: str) -> str:
    """The version under test: the one pinned for the client's own environment, else the installed one."""
    requirements = REQUIREMENTS / f"{client}.txt"
    return pinned_version(requirements, client) if requirements.exists() else version(client)


def render(results: dict[Call, str], *, date: str, machine: str) -> str:
    """The whole document."""
    rows = [
        f"| {call.client} | {version_of(call.client)} | {call.call} | {result} |"
        for call, result in sorted(results.items())
    ]
    return "\n".join(
        [_INTRODUCTION.format(date=date, machine=machine, command=COMMAND), _HEADING, _RULE, *rows, ""]
    )


def worst(results: Iterable[str]) -> str:
    """One result for a call that several tests look at."""
    return min(results, key=lambda result: result == "works")


def _calls_of(module: Path) -> list[Call]:
    marks: dict[str, list[str]] = {"client": [], "call": []}
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "pytest.mark.client",
            "pytest.mark.call",
        ):
            marks[ast.unparse(node.func).rpartition(".")[2]].append(ast.literal_eval(node.args[0]))
    if not marks["client"]:
        return []
    (client,) = marks["client"]
    return [Call(client=client, call=call) for call in marks["call"]]


_INTRODUCTION = """\
# Clients

Official clients, unmodified, that `tests/clients` runs against a live server with the default model
(SmolLM2-135M-Instruct, INT8, CPU), and what came of each call. Where a call names an error, the client
raises it as its own typed exception. No client may reach another host meanwhile. The tests fail when a
call or a version is missing here.

Recorded on {date}, {machine}, by `{command}`.

- huggingface_hub asks for health and information only with `InferenceClient(..., provider="hf-inference")`.
- langchain-huggingface sends no token to a URL that is not Hugging Face's; give it one with
  `HuggingFaceEndpoint(..., server_kwargs={{"headers": {{"Authorization": "Bearer TOKEN"}}}})`.
- litellm's `huggingface/` route looks every model up at huggingface.co first, and goes on without an answer.
  It needs `litellm[mcp]` for tools.
"""
