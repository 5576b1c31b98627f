"""What doctor sees of a machine, what it makes of it, and the memory limits that the engine uses too."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from service import doctor
from service.manifest import Manifest, Source, write_manifest
from service.memory import Memory, memory_limit_bytes, read_memory

GIB = 1 << 30
XEON_FLAGS = "fpu sse avx2 avx512f avx512_bf16 avx512_vnni amx_bf16 amx_tile amx_int8 avx_vnni"


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def write_cpuinfo(proc: Path, cores: list[tuple[int, int]], flags: str = XEON_FLAGS) -> None:
    block = (
        "processor\t: {}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n"
        "physical id\t: {}\ncore id\t\t: {}\nflags\t\t: {}\n"
    )
    write(
        proc / "cpuinfo",
        "\n".join(block.format(number, *core, flags) for number, core in enumerate(cores)),
    )


def write_model(folder: Path, **changes: Any) -> None:
    folder.mkdir(parents=True)
    write_manifest(
        folder,
        Manifest(
            name="smol",
            source=Source(kind="folder", identity="smol"),
            task="text-generation",
            architecture="llama",
            weight_format="int8",
            group_size=None,
            device="CPU",
            context_length=2048,
            eos_token_ids=[2],
            tool_versions={},
            created_at=datetime(2026, 11, 5, tzinfo=UTC),
        ).model_copy(update=changes),
    )


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    write(tmp_path / "proc" / "meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB")
    return tmp_path / "proc"


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


@pytest.fixture
def facts() -> doctor.Facts:
    """A machine with nothing to complain about."""
    return doctor.Facts(
        cpu=doctor.Cpu(
            model="Intel(R) Xeon(R) Platinum 8480+",
            vendor="GenuineIntel",
            flags=doctor.ISA_FLAGS,
            physical_cores=56,
            logical_cores=112,
            numa_nodes=2,
        ),
        memory=Memory(total_bytes=64 * GIB, available_bytes=60 * GIB, cgroup_limit_bytes=None),
        openvino=doctor.Devices(names=("CPU: Intel(R) Xeon(R) Platinum 8480+",)),
        gaudi=None,
        versions=dict.fromkeys(doctor.NEEDED_PACKAGES, "1.0"),
        models=(doctor.ModelEntry(folder=Path("models/smol"), summary="smol, int8 for CPU"),),
    )


def judged(facts: doctor.Facts) -> list[doctor.Finding]:
    return list(doctor.judge(facts, models_dirs=[Path("models")]))


def only_problem(facts: doctor.Facts) -> doctor.Finding:
    (finding,) = [finding for finding in judged(facts) if finding.is_problem]
    return finding


# Memory


def test_without_control_groups_available_memory_is_the_machines(proc: Path, cgroup: Path) -> None:
    expected = Memory(total_bytes=16 * GIB, available_bytes=8 * GIB, cgroup_limit_bytes=None)
    assert read_memory(proc=proc, cgroup=cgroup) == expected
    assert memory_limit_bytes(proc=proc, cgroup=cgroup) == 8 * GIB


def test_version_2_limit_counts_with_its_reclaimable_pages(proc: Path, cgroup: Path) -> None:
    write(proc / "self/cgroup", "0::/app")
    write(cgroup / "app/memory.max", 4 * GIB)
    write(cgroup / "app/memory.current", 3 * GIB)
    write(cgroup / "app/memory.stat", f"anon 5\ninactive_file {GIB}")
    assert read_memory(proc=proc, cgroup=cgroup).cgroup_limit_bytes == 4 * GIB
    assert memory_limit_bytes(proc=proc, cgroup=cgroup) == 2 * GIB


def test_version_2_unlimited_is_no_limit(proc: Path, cgroup: Path) -> None:
    write(proc / "self/cgroup", "0::/")
    write(cgroup / "memory.max", "max")
    assert read_memory(proc=proc, cgroup=cgroup).cgroup_limit_bytes is None


def test_tightest_limit_above_the_process_counts(proc: Path, cgroup: Path) -> None:
    write(proc / "self/cgroup", "0::/slice/unit")
    write(cgroup / "slice/memory.max", 2 * GIB)
    write(cgroup / "slice/memory.current", GIB)
    write(cgroup / "slice/unit/memory.max", 4 * GIB)
    assert read_memory(proc=proc, cgroup=cgroup).cgroup_limit_bytes == 2 * GIB
    assert memory_limit_bytes(proc=proc, cgroup=cgroup) == GIB


@pytest.mark.parametrize("path", ["/docker/0123", "/../../elsewhere", "/"])
def test_version_1_limit_of_a_container_is_found_at_its_root(proc: Path, cgroup: Path, path: str) -> None:
    write(proc / "self/cgroup", f"4:memory:{path}\n3:cpuset,cpu:/x\n0::/")
    write(cgroup / "memory/memory.limit_in_bytes", 3 * GIB)
    write(cgroup / "memory/memory.usage_in_bytes", 2 * GIB)
    write(cgroup / "memory/memory.stat", f"inactive_file 7\ntotal_inactive_file {GIB}")
    assert read_memory(proc=proc, cgroup=cgroup).cgroup_limit_bytes == 3 * GIB
    assert memory_limit_bytes(proc=proc, cgroup=cgroup) == 2 * GIB


def test_version_1_unlimited_is_no_limit(proc: Path, cgroup: Path) -> None:
    write(proc / "self/cgroup", "4:memory:/")
    write(cgroup / "memory/memory.limit_in_bytes", 9223372036854771712)
    assert read_memory(proc=proc, cgroup=cgroup).cgroup_limit_bytes is None


def test_used_up_limit_leaves_nothing_rather_than_less(proc: Path, cgroup: Path) -> None:
    write(proc / "self/cgroup", "0::/")
    write(cgroup / "memory.max", GIB)
    write(cgroup / "memory.current", GIB + 4096)
    assert memory_limit_bytes(proc=proc, cgroup=cgroup) == 0


def test_absent_proc_still_gives_the_machines_memory(tmp_path: Path) -> None:
    memory = read_memory(proc=tmp_path, cgroup=tmp_path)
    assert 0 < memory.available_bytes <= memory.total_bytes


# The processor


def test_cpu_tells_cores_from_threads_across_sockets(proc: Path, tmp_path: Path) -> None:
    write_cpuinfo(proc, [(0, 0), (0, 1), (1, 0), (1, 1)] * 2)
    for node in ("node0", "node1", "possible"):
        (tmp_path / "sys/devices/system/node" / node).mkdir(parents=True)
    assert doctor.read_cpu(proc=proc, sys=tmp_path / "sys") == doctor.Cpu(
        model="Intel(R) Xeon(R) Platinum 8480+",
        vendor="GenuineIntel",
        flags=doctor.ISA_FLAGS,
        physical_cores=4,
        logical_cores=8,
        numa_nodes=2,
    )


def test_cpu_without_the_kernels_files_is_unknown_not_an_error(tmp_path: Path) -> None:
    cpu = doctor.read_cpu(proc=tmp_path, sys=tmp_path)
    assert (cpu.vendor, cpu.flags) == ("unknown", ())
    assert (cpu.physical_cores, cpu.logical_cores, cpu.numa_nodes) == (1, 1, 1)


def test_cpu_without_core_ids_counts_processors(proc: Path, tmp_path: Path) -> None:
    write(proc / "cpuinfo", "processor : 0\n\nprocessor : 1\n")
    assert doctor.read_cpu(proc=proc, sys=tmp_path).physical_cores == 2


def test_cpu_counts_only_the_allowed_cores_and_their_nodes(proc: Path, tmp_path: Path) -> None:
    write_cpuinfo(proc, [(0, 0), (0, 1), (1, 0), (1, 1)] * 2)
    for node, cpus in (("node0", "0-1,4-5"), ("node1", "2-3,6-7")):
        write(tmp_path / "sys/devices/system/node" / node / "cpulist", cpus)

    def counts(*allowed: int) -> tuple[int, int, int]:
        cpu = doctor.read_cpu(allowed=allowed, proc=proc, sys=tmp_path / "sys")
        return cpu.physical_cores, cpu.logical_cores, cpu.numa_nodes

    assert counts(0, 4) == (1, 2, 1)
    assert counts(0, 1) == (2, 2, 1)
    assert counts(0, 7) == (2, 2, 2)


# Gaudi


def fake_hl_smi(folder: Path, script: str) -> str:
    tool = folder / "hl-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return str(tool)


def test_no_hl_smi_means_no_gaudi() -> None:
    assert doctor.find_gaudi_devices(which=lambda _name: None) is None


def test_gaudi_cards_are_named(tmp_path: Path) -> None:
    tool = fake_hl_smi(tmp_path, 'test "$*" = "-Q name -f csv,noheader" && printf "HL-325L\\nHL-325L\\n"')
    assert doctor.find_gaudi_devices(which=lambda _name: tool) == doctor.Devices(names=("HL-325L", "HL-325L"))


@pytest.mark.parametrize(
    ("script", "timeout_s", "error"),
    [
        ("echo 'driver is not loaded' >&2; exit 1", 30, "driver is not loaded"),
        ("exit 3", 30, "hl-smi ended with 3"),
        ("exec sleep 30", 0.2, "no answer within 0.2 s"),
    ],
)
def test_hl_smi_that_fails_is_reported(tmp_path: Path, script: str, timeout_s: float, error: str) -> None:
    tool = fake_hl_smi(tmp_path, script)
    devices = doctor.find_gaudi_devices(which=lambda _name: tool, timeout_s=timeout_s)
    assert devices is not None
    assert devices.error is not None
    assert error in devices.error


def test_hl_smi_that_cannot_be_run_is_reported(tmp_path: Path) -> None:
    devices = doctor.find_gaudi_devices(which=lambda _name: str(tmp_path / "gone"))
    assert devices is not None
    assert devices.error is not None
    assert "can't be run" in devices.error


# Models


def test_models_are_found_as_given_and_one_level_below(tmp_path: Path) -> None:
    write_model(tmp_path / "models/smol")
    write_model(tmp_path / "models/.smol.part")
    write_model(tmp_path / "alone")
    (tmp_path / "models/notes").mkdir()
    models = doctor.find_models(
        [tmp_path / "models", tmp_path / "alone", tmp_path / "alone", tmp_path / "absent"]
    )
    assert [(model.folder, model.summary, model.error) for model in models] == [
        (tmp_path / "models/smol", "smol, int8 for CPU", None),
        (tmp_path / "alone", "smol, int8 for CPU", None),
    ]


def test_broken_models_are_named_with_what_is_wrong(tmp_path: Path) -> None:
    write(tmp_path / "bad/manifest.json", "{")
    write(tmp_path / "bare/openvino_model.xml", "<net/>")
    bad, bare = doctor.find_models([tmp_path])
    assert bad.error is not None
    assert str(tmp_path / "bad") in bad.error
    assert bare.error is not None
    assert "no readable manifest.json" in bare.error


def test_a_model_of_another_engine_is_told_with_its_launch_line(tmp_path: Path, facts: doctor.Facts) -> None:
    launch = {"--max-model-len": "2048", "VLLM_SKIP_WARMUP": "false"}
    write_model(tmp_path / "g", device="GAUDI", engine="vllm", launch=launch)
    (model,) = doctor.find_models([tmp_path / "g"])
    assert model.summary == "smol, int8 for GAUDI under vllm"
    line = f"VLLM_SKIP_WARMUP=false vllm serve {tmp_path / 'g'} --max-model-len 2048"
    assert model.launch == line
    beside = replace(facts, models=(*facts.models, model))
    (note,) = doctor.judge(beside, models_dirs=())
    assert line in note.message
    assert not note.is_problem
    assert "no converted model" in only_problem(replace(facts, models=(model,))).message


# Findings


def test_sound_machine_has_no_findings(facts: doctor.Facts) -> None:
    assert judged(facts) == []


def test_no_avx2_is_a_problem(facts: doctor.Facts) -> None:
    cpu = replace(facts.cpu, flags=("amx_tile",))
    assert "AVX2" in only_problem(replace(facts, cpu=cpu)).message


def test_no_amx_and_no_intel_are_notes(facts: doctor.Facts) -> None:
    cpu = replace(facts.cpu, flags=("avx2",), vendor="AuthenticAMD")
    findings = judged(replace(facts, cpu=cpu))
    assert [finding.is_problem for finding in findings] == [False, False]
    assert "AMX" in findings[0].message
    assert "figures given for Intel CPUs don't apply" in findings[1].message


@pytest.mark.parametrize(
    ("total", "limit", "message"),
    [
        (64 * GIB, GIB, "control group allows 1.0 GiB"),
        (GIB, None, "machine has 1.0 GiB"),
    ],
)
def test_less_than_2_gib_is_a_problem(
    facts: doctor.Facts, total: int, limit: int | None, message: str
) -> None:
    memory = Memory(total_bytes=total, available_bytes=GIB, cgroup_limit_bytes=limit)
    assert message in only_problem(replace(facts, memory=memory)).message


def test_2_gib_is_enough(facts: doctor.Facts) -> None:
    memory = Memory(total_bytes=64 * GIB, available_bytes=GIB, cgroup_limit_bytes=2 * GIB)
    assert judged(replace(facts, memory=memory)) == []


@pytest.mark.parametrize("devices", [doctor.Devices(error="libopenvino.so: not found"), doctor.Devices()])
def test_openvino_without_a_device_is_a_problem(facts: doctor.Facts, devices: doctor.Devices) -> None:
    assert "pip install ." in only_problem(replace(facts, openvino=devices)).remedy


def test_gaudi_that_does_not_answer_is_a_problem(facts: doctor.Facts) -> None:
    gaudi = doctor.Devices(error="driver is not loaded")
    assert "driver is not loaded" in only_problem(replace(facts, gaudi=gaudi)).message


def test_missing_package_is_a_problem(facts: doctor.Facts) -> None:
    versions = {**facts.versions, "fastapi": None, "nncf": None}
    assert "fastapi" in only_problem(replace(facts, versions=versions)).message


def test_no_converted_model_names_the_command(facts: doctor.Facts) -> None:
    finding = only_problem(replace(facts, models=()))
    assert finding.remedy == "python export/convert.py"
    assert "models" in finding.message


def test_broken_model_beside_a_good_one_is_the_only_problem(facts: doctor.Facts) -> None:
    broken = doctor.ModelEntry(folder=Path("models/old"), error="models/old is not a converted model")
    problem = only_problem(replace(facts, models=(*facts.models, broken)))
    assert problem.message == "models/old is not a converted model"


# The report


def rendered(report: doctor.Report) -> str:
    output = StringIO()
    doctor.render(report, Console(file=output, width=200))
    return output.getvalue()


def test_report_of_a_sound_machine_says_ready(facts: doctor.Facts) -> None:
    text = rendered(doctor.Report(facts=facts, findings=()))
    for part in (
        "8480+",
        "amx_tile",
        "56 physical, 112 logical, 2 NUMA",
        "64.0 GiB",
        "models/smol: smol, int8",
    ):
        assert part in text
    assert "Ready to serve." in text


def test_report_with_a_problem_shows_it_with_its_remedy_and_markup_as_text(facts: doctor.Facts) -> None:
    problem = doctor.Finding(message="[red] is wrong", is_problem=True, remedy="mend [/it]")
    note = doctor.Finding(message="by the way", is_problem=False)
    report = doctor.Report(facts=facts, findings=(problem, note))
    assert report.problems == (problem,)
    text = rendered(report)
    assert "problem: [red] is wrong\n  -> mend [/it]" in text
    assert "note: by the way" in text
    assert "Ready" not in text


def test_this_machine_can_be_examined(tmp_path: Path) -> None:
    write_model(tmp_path / "smol")
    report = doctor.gather([tmp_path])
    assert report.facts.cpu.logical_cores >= report.facts.cpu.physical_cores >= 1
    assert report.facts.memory.available_bytes > 0
    assert any(name.startswith("CPU: ") for name in report.facts.openvino.names)
    assert [model.folder for model in report.facts.models] == [tmp_path / "smol"]
    assert report.facts.versions["openvino"]
    assert rendered(report)
