"""Where torch computes, and in which 16-bit numbers."""

from __future__ import annotations

import torch

from tinymed.errors import ConfigError, HardwareError


def find_device(name: str = "auto") -> torch.device:
    """A device by name; "auto" is the first GPU, or the processor where there is none.

    Raises:
        ConfigError: If the name means nothing to torch.
        HardwareError: If a GPU is asked for and there is none.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
        >>> find_device("gpu")
        Traceback (most recent call last):
        tinymed.errors.ConfigError: No device 'gpu'. Known: auto, cpu, cuda, cuda:0, …
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"No device '{name}'. Known: auto, cpu, cuda, cuda:0, …") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise HardwareError(
            "torch finds no NVIDIA GPU here. Take --device cpu, or install a torch with CUDA."
        )
    return device


def half_precision(device: torch.device) -> torch.dtype:
    """The 16-bit numbers a device computes with: bfloat16, or float16 on a GPU before Ampere.

    float16 is no choice for a processor, where torch multiplies it many times slower.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all it was told, so that a clock tells its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
