"""The plans that a command asks for: a model's schemes on devices, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tinymed.models.catalog import split_address
from tinymed.models.schemes import find_scheme
from tinymed.models.shape.known import find_shape
from tinymed.profile.devices import DEVICES, THIS_MACHINE, Device, find_device, this_machine
from tinymed.profile.machine_speed import known_machine
from tinymed.profile.plan.choose import planned_with_instead, plans
from tinymed.profile.plan.make import PromptSize
from tinymed.profile.plan.plan import Plan

ALL = "all"
"""In place of a device's name: every one of them, this machine first."""


def asked_plans(
    address: str,
    *,
    schemes: Sequence[str] = (),
    devices: Sequence[str] = (),
    prompt: PromptSize | None = None,
) -> tuple[Plan, ...]:
    """Plans device by device; of each the schemes in the order asked for, or best first.

    Args:
        address: Whatever `find_shape` takes, with ":SCHEME" or without.
        schemes: Names; none, and none in the address, for all that can run there.
        devices: Names, or "all"; none for this machine.
        prompt: How much is asked; None for a short question.

    Raises:
        ConfigError: If a scheme or a device is unknown, or a scheme cannot run there.
        ModelError: If no model is meant, or its shape cannot be told.
    """
    base, scheme = split_address(address)
    shape = find_shape(base)
    wanted = [find_scheme(name) for name in schemes] or ([scheme] if scheme else [])
    found: list[Plan] = []
    for device in asked_devices(devices):
        if wanted:
            found += [planned_with_instead(shape, one, device, prompt=prompt) for one in wanted]
        else:
            found += plans(shape, device, prompt=prompt)
    return tuple(found)


def asked_devices(names: Sequence[str]) -> list[Device]:
    """Devices by name, this machine as it was last measured.

    Raises:
        ConfigError: If one is unknown.
    """
    listed = list(names) or [THIS_MACHINE]
    if ALL in listed:
        listed = [THIS_MACHINE, *DEVICES]
    return [
        this_machine(known_machine()) if name == THIS_MACHINE else find_device(name)
        for name in dict.fromkeys(listed)
    ]


def plan_row(plan: Plan) -> dict[str, Any]:
    """A plan as JSON, with the sums that its fields make up."""
    row = asdict(plan)
    if plan.speed is not None:
        row["speed"]["first_token_s"] = plan.speed.first_token_s
        row["speed"]["second_question_s"] = plan.speed.second_question_s
    return row
