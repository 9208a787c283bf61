"""Whether a machine was quiet enough for its clock to be believed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from tinymed.hardware.load import BUSY_SHARE
from tinymed.profile.point import Conditions, Measurement
from tinymed.profile.run.observation import Meanwhile

STOLEN = 0.05
"""Of all processors' time: more, and the hypervisor runs somebody else."""
QUIET_FIGURES = ("first_token_ms", "second_question_ms", "decode_token_ms")
"""Whose spread is held to the bound. Of decoding the time of a token, not tokens a second: there
the 95th percentile would be a quick run, and a slow one would pass."""
_WAIT_S = 30.0


def wait_until_quiet(
    used_by_others: Callable[[], float | None], *, limit_s: float = _WAIT_S
) -> None:
    """Wait for other programs to finish, as long as the limit, and say so.

    Args:
        used_by_others: Looks for a second how much of all processors' time they use; None where
            the system does not say, and then there is no waiting.
        limit_s: Then it is measured all the same: what was is judged afterwards.
    """
    start, has_said = time.monotonic(), False
    while (share := used_by_others() or 0.0) > BUSY_SHARE:
        if time.monotonic() - start >= limit_s:
            return
        if not has_said:
            sys.stderr.write(
                f"Waiting for a quiet machine, {limit_s:.0f} s at most: other programs use "
                f"{share:.0%} of the processors …\n"
            )
            sys.stderr.flush()
            has_said = True


def conditions_of(meanwhile: Meanwhile, figures: Mapping[str, Measurement]) -> Conditions:
    """What is to be known of the machine, not yet judged."""
    spreads = {name: figures[name].spread for name in QUIET_FIGURES if name in figures}
    widest = max(spreads, key=spreads.__getitem__)
    return Conditions(
        used_by_others=meanwhile.used_by_others,
        stolen=meanwhile.stolen,
        throttled=meanwhile.throttled,
        widest_spread=spreads[widest],
        widest_figure=widest,
        is_busy=False,
    )


def reasons_against(conditions: Conditions, *, max_spread: float) -> tuple[str, ...]:
    """Why figures measured under these conditions are not to be written; () if they may be."""
    reasons = []
    if (conditions.used_by_others or 0.0) > BUSY_SHARE:
        reasons.append(f"other programs used {conditions.used_by_others:.0%} of the processors")
    if (conditions.stolen or 0.0) > STOLEN:
        reasons.append(f"the hypervisor kept {conditions.stolen:.0%} of the processors' time")
    if conditions.throttled:
        reasons.append("the processor or GPU slowed itself down for heat")
    if conditions.widest_spread > max_spread:
        reasons.append(
            f"{conditions.widest_figure} has its 95th percentile {conditions.widest_spread:.0%} "
            f"above its median, where {max_spread:.0%} are allowed"
        )
    return tuple(reasons)
