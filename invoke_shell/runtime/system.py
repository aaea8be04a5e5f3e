"""What depends on the operating system: memory, processor name. Every function has an answer everywhere."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

__all__ = ["physical_memory", "processor_name"]

ASSUMED_MEMORY = 8 << 30


@cache
def physical_memory() -> int:
    """Bytes of main memory; 8 GiB is assumed where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return ASSUMED_MEMORY


@cache
def processor_name() -> str:
    """The processor as its maker calls it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
