"""A page's findings in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinymed.profile.pareto.costs import said
from tinymed.profile.pareto.join import REFUSED, Named
from tinymed.profile.pareto.text import choice_sentences
from tinymed.profile.pareto.weigh import Front
from tinymed.profile.plan.plan import Plan
from tinymed.profile.report.front_shown import metric_title
from tinymed.profile.report.predicted_shown import CLOSE, percent_text, predictions_of

_MOST_SCHEMES = 3


def front_sentences(front: Front) -> Iterator[str]:
    """Who is on a front of one cost, and how many are not told apart from it."""
    cost = front.costs[0]
    judged = [row for row in front.rows if row.standing]
    on_it = [row for row in judged if row.status == "on the front"]
    if not on_it:
        return
    # Rows stand from the least of the cost: the first takes least, the last answers best.
    names = [
        f"{row.name} ({100 * row.score.value:.1f} % at "
        f"{said(row.costs[cost.name].value, cost.unit)})"
        for row in on_it
    ]
    untold = sum(row.status == "dominated, intervals overlap" for row in judged)
    rest = (
        f" Of the others, {untold} cannot be told apart from it by their intervals."
        if untold
        else ""
    )
    yield (
        f"{front.title}: of {len(judged)} builds, {len(on_it)} "
        f"{'is' if len(on_it) == 1 else 'are'} on the front of "
        f"{metric_title(front.metric).lower()} against {cost.title.lower()}: "
        f"{', '.join(names)}.{rest}"
    )
    if front.choice is not None:
        yield " ".join(choice_sentences(front.choice))


def predicted_sentences(points: Sequence[Named]) -> Iterator[str]:
    """How right the plan was about peak memory."""
    found = [each for one in points for each in predictions_of(one) if each.figure == "peak_mib"]
    if found:
        close = [each for each in found if abs(each.error) <= CLOSE]
        worst = max(found, key=lambda each: abs(each.error))
        yield (
            f"Peak memory was predicted within {100 * CLOSE:.0f} % for {len(close)} of "
            f"{len(found)} points; the worst is {worst.point}, {percent_text(worst.error)}."
        )


def plan_sentences(plans: Sequence[Plan]) -> Iterator[str]:
    """What fits where."""
    for device in dict.fromkeys(plan.device for plan in plans):
        here = [plan for plan in plans if plan.device == device]
        models = dict.fromkeys(plan.model for plan in here)
        found = [_fit([plan for plan in here if plan.model == model]) for model in models]
        yield f"Planned for {device}: {'; '.join(found)}."


def _fit(plans: Sequence[Plan]) -> str:
    """In which of its schemes one model fits one device."""
    model = plans[0].model
    schemes = [plan.scheme for plan in plans if plan.verdict == "fits"]
    if not schemes:
        return f"{model} fits in none of {len(plans)} schemes with room to spare"
    more = len(schemes) - _MOST_SCHEMES
    named = ", ".join(schemes[:_MOST_SCHEMES]) + (f" and {more} more" if more > 0 else "")
    return f"{model} fits in {len(schemes)} of {len(plans)} schemes ({named})"


def warnings(points: Sequence[Named]) -> Iterator[str]:
    """What a reader must know before believing a figure."""
    busy = [one.name for one in points if one.point.conditions.is_busy]
    if busy:
        yield f"Measured on a busy machine, so times may be too long: {', '.join(busy)}."
    refused = [one.name for one in points if one.point.parity == REFUSED]
    if refused:
        yield (
            f"Refused by the parity gate, so not to be used, and on no front: {', '.join(refused)}."
        )
    random = [one.name for one in points if one.point.is_random]
    if random:
        yield (
            f"Random weights of a known shape: times and memory hold, answers mean nothing: "
            f"{', '.join(random)}."
        )
