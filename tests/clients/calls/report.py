"""Runs calls of a client and prints what came of each."""

import json
import sys
from collections.abc import Callable, Collection
from typing import Any

from tests.clients.loopback import LoopbackOnly

Calls = dict[str, Callable[[], Any]]
QUESTION = "What is the capital of France?"
CHAT_PROMPT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"


def report(make_calls: Callable[[str, str], Calls], tolerated_hosts: Collection[str] = ()) -> None:
    """Run the calls of `make_calls(url, token)` one after another; print the outcomes as a line of JSON.

    A client may try, in vain, to reach `tolerated_hosts`.
    """
    url, token = sys.argv[1:]
    with LoopbackOnly().enforced(tolerated_hosts):
        outcomes = {name: _outcome(call) for name, call in make_calls(url, token).items()}
    sys.stdout.write(json.dumps(outcomes) + "\n")


def _outcome(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": call()}
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what the tests look at
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        return {"error": {"type": kind, "message": str(error)}}
