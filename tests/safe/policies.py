"""Policies as a measurement would have written them."""

from __future__ import annotations

from dataclasses import replace

from tinymed.evaluate.audit.abstention import Threshold
from tinymed.evaluate.audit.calibration import TypeCalibration
from tinymed.safe.policy import Chosen, GateCost, SafetyPolicy

FITTED = TypeCalibration(num_samples=400, num_right=300, a=1.0, b=0.0)
NOT_FITTED = TypeCalibration(
    num_samples=9, num_right=9, a=None, b=None, reason="Only 9 answers to fit to."
)

POLICY = SafetyPolicy(
    model="tiny",
    scheme="scoring-f32",
    weights_sha256="0" * 64,
    prompt_template="{image}\n{question}\n",
    split="set validation",
    split_sha256="1" * 64,
    num_samples=600,
    target_accuracy=0.9,
    thresholds={
        "closed": Chosen(threshold=Threshold(value=0.7, coverage=0.5, accuracy=0.9)),
        "open": Chosen(threshold=Threshold(value=0.4, coverage=0.4, accuracy=0.9)),
    },
    calibration={"closed": FITTED, "open": FITTED},
    costs=(
        GateCost(
            split="set validation",
            gates="all",
            kind="open",
            num_samples=0,
            coverage=None,
            accuracy=None,
            wrong_withheld=None,
            right_withheld=0.25,
        ),
    ),
)

WITHOUT_FIT = replace(
    POLICY,
    thresholds={
        "closed": Chosen(threshold=None, reason="No threshold gives 90 %."),
        "open": Chosen(threshold=None, reason="No threshold gives 90 %."),
    },
    calibration={"closed": NOT_FITTED, "open": NOT_FITTED},
)
