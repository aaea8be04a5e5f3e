"""What depends on the operating system: memory, processor, interrupts. Every function has an answer everywhere."""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = ["deaf_to_interrupts", "physical_memory", "processor_name", "why_ended"]

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


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """A process started inside is born deaf to Ctrl-C, which a terminal sends to every process of its group.

    Here it is put off until then. Tried: ignoring it, which lost what came in these milliseconds, and was no thread's
    but the main one's to do.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def why_ended(status: int) -> str:
    """An exit status in words: `signal 9 (killed), most often because memory ran out`."""
    if status >= 0:
        return f"exit status {status}"
    reasons = {9: " (killed), most often because memory ran out", 11: " (segmentation fault)"}
    return f"signal {-status}{reasons.get(-status, '')}"
