"""On what and with how many bits the detectors compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache

import torch


def best_device() -> torch.device:
    """Return the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_arithmetic(device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 on CPUs with instructions for it, else nothing.

    Weights, statistics and losses stay in float32. The same machine always gets the same numbers;
    another CPU may round differently, as it may in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device.type))


@contextmanager
def repeatable() -> Iterator[None]:
    """Keep cuDNN from choosing algorithms that add up in varying order; a CPU needs nothing."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=True
    ):
        yield


@lru_cache
def _has_bfloat16(device_type: str) -> bool:
    if device_type != "cpu":
        return False
    # Emulated bfloat16 is slower than float32, so that only real instructions count. Where torch
    # is too old to tell, float32 is the safe answer.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
