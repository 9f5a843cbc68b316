"""Which instructions of the processor the libraries below torch compute with: they decide about last digits, and can be limited to those of
an older processor, so that rounds come out as they did there."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

# by what torch calls them, the variables that limit torch's own kernels, Intel MKL and oneDNN to them: torch's one alone does not reach
# the products of matrices. Sources: oneMKL developer guide, "Instruction Set Specific Dispatching"; oneDNN developer guide, "CPU Dispatcher
# Control"
LIMITS = {
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
OTHERS = ("MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "DNNL_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE")
VARIABLES = (*next(iter(LIMITS.values())), *OTHERS)
NEWER = "avx512f"  # what a processor has that computes with more than AVX2
PROCESSORS = Path("/proc/cpuinfo")


def used(capability: str) -> str:
    """What torch computes with, for the record: its own word for it, and variables that limit some of its libraries to something else."""
    told = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if not told or told == LIMITS.get(capability):
        return capability
    return f"{capability} ({', '.join(f'{name}={value}' for name, value in told.items())})"


def limit(recorded: Iterable[object]) -> str:
    """Have this process, and those that it starts, compute with the instructions that all of these records were made with, where this
    processor has newer ones; returns them, or nothing where nothing is limited: also where torch is there already, which reads the
    variables when it is imported, or one of them was set by somebody else. recorded: as `used` says it."""
    kinds = set(map(str, recorded))
    kind = kinds.pop() if len(kinds) == 1 else ""
    if kind not in LIMITS or "torch" in sys.modules or any(os.environ.get(name) for name in VARIABLES) or not has(NEWER):
        return ""
    os.environ.update(LIMITS[kind])
    return kind


def has(flag: str) -> bool:
    """Whether Linux says that the processor has it; False elsewhere."""
    try:
        text = PROCESSORS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in line.split() for line in text.splitlines() if line.startswith("flags"))
