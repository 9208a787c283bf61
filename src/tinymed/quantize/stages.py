"""How far a build's tensors are from the reference's, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.quantize.observe import Floats, Observed

STAGES = ("vision_features", "image_tokens", "first_token_logits")
"""In the order in which an image passes them; each stands on the ones before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDifference:
    """One stage over all cases; a figure is None where it cannot be told or is no number."""

    stage: str
    """One of STAGES."""
    num_tensors: int
    problem: str = ""
    """Why there are no figures, as the end of a sentence; "" where there are."""
    max_difference: float | None = None
    """Largest |build - reference| of any tensor, as a share of the range (largest less
    smallest value) of the reference's tensor."""
    relative_error: float | None = None
    """Median over the tensors of |build - reference| / |reference|, Euclidean norms;
    logits are centred first, because a shift of all of them changes no probability."""
    worst_relative_error: float | None = None
    cosine: float | None = None
    """Median of the cosine between the build's tensor and the reference's."""
    worst_cosine: float | None = None


def stage_differences(reference: Observed, build: Observed) -> tuple[StageDifference, ...]:
    """Compare every stage of two engines over the same cases.

    A stage that an engine does not tell is a problem, never a match.
    """
    found = []
    for stage in STAGES:
        ours, theirs = _tensors(build, stage), _tensors(reference, stage)
        found.append(_difference(stage, ours=ours, theirs=theirs, names=(build, reference)))
    return tuple(found)


def _tensors(observed: Observed, stage: str) -> list[Floats | None]:
    if stage == "first_token_logits":
        return [answer.first_token_logits for case in observed.cases for answer in case.answers]
    return [getattr(case, stage) for case in observed.cases]


def _difference(
    stage: str,
    *,
    ours: Sequence[Floats | None],
    theirs: Sequence[Floats | None],
    names: tuple[Observed, Observed],
) -> StageDifference:
    number = len(theirs)
    for observed, tensors in zip(names, (ours, theirs), strict=True):
        if any(tensor is None for tensor in tensors):
            return StageDifference(
                stage=stage, num_tensors=number, problem=f"not told by {observed.scheme}"
            )
    pairs = [
        (np.asarray(one, np.float64), np.asarray(two, np.float64))
        for one, two in zip(ours, theirs, strict=True)
    ]
    for one, two in pairs:
        if one.shape != two.shape:
            return StageDifference(
                stage=stage,
                num_tensors=number,
                problem=f"of shape {one.shape} in the build and {two.shape} in the reference",
            )
        if not np.isfinite(one).all():
            return StageDifference(
                stage=stage, num_tensors=number, problem="not finite numbers in the build"
            )
    center = stage == "first_token_logits"
    figures = np.array([_figures(one, two, center=center) for one, two in pairs])
    return StageDifference(
        stage=stage,
        num_tensors=number,
        max_difference=float(figures[:, 0].max()),
        relative_error=float(np.median(figures[:, 1])),
        worst_relative_error=float(figures[:, 1].max()),
        cosine=float(np.median(figures[:, 2])),
        worst_cosine=float(figures[:, 2].min()),
    )


def _figures(
    ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], *, center: bool
) -> tuple[float, float, float]:
    """Largest difference over the range, relative error, cosine."""
    if center:
        ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    difference = ours - theirs
    norm, our_norm = float(np.linalg.norm(theirs)), float(np.linalg.norm(ours))
    return (
        _share(float(np.abs(difference).max()), float(np.ptp(theirs))),
        _share(float(np.linalg.norm(difference)), norm),
        1.0 if norm == our_norm == 0 else _share(float((ours * theirs).sum()), norm * our_norm, 0),
    )


def _share(part: float, whole: float, nothing: float = 1.0) -> float:
    """`part / whole`; of nothing, 0 for nothing and `nothing` for anything else."""
    if whole:
        return part / whole
    return nothing if part else 0.0


def plain(difference: StageDifference) -> dict[str, Any]:
    """As a row of JSON."""
    return {
        name: getattr(difference, name)
        for name in StageDifference.__dataclass_fields__
        if name != "stage"
    }
