"""Feeds made-up Authorization headers to the guard, guided by coverage; libFuzzer's options apply.

Run it for longer than the tests do with: python -m tests.fuzz.authorization_harness -max_total_time=600
"""

import sys

import atheris

with atheris.instrument_imports(include=["service.auth"]):
    from tests.fuzz.door import check, new_door

if __name__ == "__main__":
    with new_door() as door:
        # Headers come as Latin-1.
        atheris.Setup(sys.argv, lambda data: check(door, data.decode("latin-1")))
        atheris.Fuzz()
