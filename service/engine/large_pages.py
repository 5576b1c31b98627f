"""Has an engine's memory in large pages, where the kernel leaves that to each program."""

from collections.abc import Mapping


def large_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a new process needs for it; none where the operator has set glibc's tunables.

    A decode step reads all weights, and pages of 2 MiB spare the CPU most translations of addresses. glibc's
    malloc asks for them with this tunable (glibc's manual, "Memory Allocation Tunables", since 2.35); others
    ignore it.
    """
    return {} if "GLIBC_TUNABLES" in environment else {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
