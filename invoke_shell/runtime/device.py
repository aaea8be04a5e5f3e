"""Where models run and in which precision; what was in force, for the record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from invoke_shell.errors import RunError
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.system import physical_memory, processor_name

__all__ = ["Place", "environment", "find", "free_memory", "memory", "ran_out", "settle"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A device and the data type of the networks on it. memory: bytes loaded models may take.

    flow_dtype: of transformers, whose numbers are too large for float16. rests: where weights wait, if not there.
    """

    device: torch.device
    dtype: torch.dtype
    memory: int
    flow_dtype: torch.dtype = torch.float32
    rests: torch.device | None = None

    @property
    def home(self) -> torch.device:
        """Where weights are when they are not used."""
        return self.rests or self.device


def find(policy: Policy) -> Place:
    """The place a policy asks for. Raises RunError (bad-setting) when this machine has no such device."""
    device = torch.device(_best() if policy.device == "auto" else policy.device)
    if not _present(device):
        raise RunError(f"this machine has no device {policy.device}", code="bad-setting", hint="try `set device auto`")
    automatic = "float32" if device.type == "cpu" else "float16"
    name = automatic if policy.precision == "auto" else policy.precision
    flow = "bfloat16" if (policy.precision, name) == ("auto", "float16") else name
    memory = policy.memory or _budget(device)
    return Place(device=device, dtype=DTYPES[name], memory=memory, flow_dtype=DTYPES[flow])


def settle(policy: Policy, place: Place) -> None:
    """Put a policy into force for this process: threads, and on CUDA what makes runs repeat bit for bit."""
    if policy.threads is not None:
        torch.set_num_threads(policy.threads)
    if place.device.type != "cuda":
        return
    if policy.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(policy.deterministic, warn_only=True)
    torch.backends.cudnn.deterministic = policy.deterministic
    torch.backends.cudnn.benchmark = False
    if policy.deterministic:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    # Kernels of attention differ in their last bits, so one is pinned.
    torch.backends.cuda.enable_flash_sdp(not policy.deterministic)
    torch.backends.cuda.enable_mem_efficient_sdp(not policy.deterministic)
    torch.backends.cuda.enable_cudnn_sdp(not policy.deterministic)


def free_memory(device: torch.device) -> None:
    """Hand memory that nothing uses back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def memory(device: torch.device) -> tuple[int, int] | None:
    """Bytes of a GPU that are free, and that it has; None of a device that shares the machine's memory.

    What torch keeps for its next picture counts as free.
    """
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), total


def ran_out(error: BaseException) -> bool:
    """True for what torch raises when memory is not enough; on a CPU that is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def environment(policy: Policy, place: Place) -> dict[str, Any]:
    """What must be equal for a picture to come out with equal bits; plain JSON, a few microseconds."""
    return {
        **_versions(),
        "device": str(place.device),
        "device_name": _name(place.device),
        "dtype": str(place.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "attention": "math" if policy.deterministic and place.device.type == "cuda" else "sdpa",
        "deterministic": policy.deterministic,
        "tf32": bool(torch.backends.cudnn.allow_tf32) if place.device.type == "cuda" else False,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


@cache
def _versions() -> dict[str, str]:
    from importlib.metadata import version

    # torch.__version__ is a class of torch's own: pickled to the shell it would import torch there.
    return {"torch": str(torch.__version__), **{name: version(name) for name in ("diffusers", "transformers")}}


@cache
def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _present(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available())


def _budget(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1] * 3 // 4
    return physical_memory() // 2
