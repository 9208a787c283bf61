"""Plans of models on devices, by the names that a user gives."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.models.catalog import split_address
from tinymed.models.shape.known import find_shape
from tinymed.profile.devices import Device, find_device, this_machine
from tinymed.profile.machine_speed import known_machine
from tinymed.profile.plan.choose import plans
from tinymed.profile.plan.make import make_plan
from tinymed.profile.plan.plan import Plan


def plans_for(models: Sequence[str], devices: Sequence[str]) -> tuple[Plan, ...]:
    """What each model would take on each device.

    Args:
        models: Each a name, folder or configuration, with ":SCHEME" or without; without, every
            scheme that runs on the device.
        devices: Names of devices; none for this machine.

    Raises:
        ModelError: If a model's shape is not known.
        ConfigError: If a device or a scheme is not known.
    """
    return tuple(
        plan
        for device in _devices(devices)
        for model in models
        for plan in _plans_on(model, device)
    )


def _devices(names: Sequence[str]) -> list[Device]:
    return [find_device(name) for name in names] or [this_machine(known_machine())]


def _plans_on(model: str, device: Device) -> Sequence[Plan]:
    base, scheme = split_address(model)
    shape = find_shape(base)
    return plans(shape, device) if scheme is None else [make_plan(shape, scheme, device)]
