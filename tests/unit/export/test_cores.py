import subprocess
import sys
from pathlib import Path

import pytest

from export.cores import usable_cores

ROOT = Path(__file__).resolve().parents[3]
WORK = """
import pathlib, sys, time
from export.cores import bound_cores
bound_cores(1)
import numpy, openvino
core = openvino.Core()
weights = openvino.opset13.constant(numpy.ones((1024, 1024), numpy.float32))
given = openvino.opset13.parameter([1024, 1024], numpy.float32)
model = openvino.Model([openvino.opset13.matmul(given, weights, False, False)], [given])
compiled = core.compile_model(model, "CPU")
data = numpy.ones((1024, 1024), numpy.float32)
began, spent = time.monotonic(), time.process_time()
while time.monotonic() - began < 1:
    compiled([data])
    data @ data
allowed = {line.split()[1] for task in pathlib.Path("/proc/self/task").iterdir()
    for line in (task / "status").read_text().splitlines() if line.startswith("Cpus_allowed_list")}
print((time.process_time() - spent) / (time.monotonic() - began), *allowed)
"""


@pytest.mark.skipif(usable_cores() < 2, reason="this process may use one core alone")
def test_one_core_is_all_that_openvino_and_numpy_get() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    cores_used, *allowed = ended.stdout.split()
    assert float(cores_used) < 1.1
    assert len(allowed) == 1, "a thread may run elsewhere"
    assert allowed[0].isdecimal()
