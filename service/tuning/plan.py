"""Says what a search is to do on a device."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.cpu import Cpu
from service.tuning.candidate import EXACT, Candidate
from service.tuning.errors import TuningError
from service.tuning.machine_classes import shipped_properties
from service.tuning.objective import Objective
from service.tuning.space import Stage, cpu_stages, other_device_stages

ENGINE_DEFAULTS = "engine defaults"
SHIPPED = "shipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to search.

    reference: whose log-probabilities are right. control: what is used where nothing is tuned, which every
    candidate must beat. baselines: measured whatever comes of them, to say what the winner gains over them.
    """

    objective: Objective
    budget_s: float
    reference: Candidate
    control: Candidate
    baselines: Sequence[Candidate]
    stages: Sequence[Stage]


def make_plan(objective: Objective, budget_s: float, *, device: str, cpu: Cpu) -> Plan:
    """The search for an objective on a device of this machine.

    Raises:
        TuningError: nobody knows what is reproducible on that device.
    """
    if device != "CPU":
        return _other_device(objective, budget_s, device)
    exact = Candidate(name="exact", properties=dict(EXACT))
    engine = Candidate(name=ENGINE_DEFAULTS)
    shipped = Candidate(name=SHIPPED, properties=shipped_properties(device, cpu.flags))
    is_exact = objective == "reproducible"
    return Plan(
        objective=objective,
        budget_s=budget_s,
        reference=exact,
        control=exact if is_exact else shipped,
        baselines=(engine, shipped) if is_exact else (engine,),
        stages=cpu_stages(cpu, exact_only=is_exact),
    )


def _other_device(objective: Objective, budget_s: float, device: str) -> Plan:
    if objective == "reproducible":
        raise TuningError(f"--objective reproducible is for the CPU: what makes {device} so is not known")
    return Plan(
        objective=objective,
        budget_s=budget_s,
        reference=Candidate(name="float32", properties={"INFERENCE_PRECISION_HINT": "f32"}),
        # The shipped configuration is the engine's own there.
        control=Candidate(name=SHIPPED),
        baselines=(),
        stages=other_device_stages(),
    )
