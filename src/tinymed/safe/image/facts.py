"""What the file itself says of its picture: another modality, one slice of many, no spacing."""

from __future__ import annotations

import re

from tinymed.images.received import ImageFacts, ReceivedFrame
from tinymed.safe.gate import Alert, Gates

IN_SCOPE_MODALITIES = frozenset({"CT", "MR", "CR", "DX", "RG"})
"""DICOM's codes of what the training sets hold. SLAKE: CT, MRI and X-ray, each image labelled.
VQA-RAD: heads (CT, MRI), chests (X-ray, CT) and abdomens (CT, a few X-rays)."""
_SAYS_NOTHING = frozenset({"OT", "DOC"})
"""Other, document: what converted pictures carry, whatever they show."""
_SLICED = frozenset({"CT", "MR", "PT", "NM"})

MODALITY_NAMES = {
    "US": "ultrasound",
    "IVUS": "intravascular ultrasound",
    "MG": "mammography",
    "PT": "positron emission tomography",
    "NM": "nuclear medicine",
    "XA": "angiography",
    "RF": "fluoroscopy",
    "ES": "endoscopy",
    "OP": "a photograph of the eye",
    "OPT": "optical coherence tomography of the eye",
    "OCT": "optical coherence tomography",
    "SM": "a microscope slide",
    "GM": "a microscope picture",
    "XC": "a photograph",
    "DG": "diaphanography",
    "TG": "thermography",
    "PX": "a panoramic X-ray of the jaw",
    "IO": "an X-ray of the teeth",
    "BMD": "bone densitometry",
    "ECG": "an electrocardiogram",
    "SR": "a report",
    "SEG": "a segmentation",
    "RTDOSE": "a radiotherapy dose",
    "RTIMAGE": "a radiotherapy image",
}
"""What a reader calls a modality; the code itself stands for those not listed."""

_SIZE = re.compile(
    r"\b(?:how (?:big|large|long|wide|thick|tall|deep|small)|diamet\w+|millimet\w+|centimet\w+"
    r"|mm|cm|inch(?:es)?|volume|measure\w*|(?:size|width|length|height|thickness|area) of"
    r"|what(?:'s| is)? (?:the |its )?size)\b"
)


def modality_alert(facts: ImageFacts, gates: Gates) -> Alert | None:
    """An alert where a DICOM file says it is of a kind that no training image was of."""
    code = facts.modality
    if gates.scope == "off" or code is None or code in IN_SCOPE_MODALITIES | _SAYS_NOTHING:
        return None
    return Alert(
        code="image-out-of-scope",
        gate="scope",
        withholds=gates.scope == "withhold",
        detail=(
            f"The file says that this is {MODALITY_NAMES.get(code, f'of the modality {code}')}; "
            "the model was trained on CT, MRI and X-ray images."
        ),
    )


def single_slice_alert(frame: ReceivedFrame) -> Alert | None:
    """A note where an image is one of a stack: the model sees this one alone."""
    if frame.facts.modality not in _SLICED and frame.num_frames == 1:
        return None
    return Alert(
        code="single-slice",
        gate=None,
        withholds=False,
        detail="The model sees this one picture; what lies in the others it cannot know.",
        figures={"frame": float(frame.frame), "frames": float(frame.num_frames)},
    )


def spacing_alert(question: str, *, has_spacing: bool) -> Alert | None:
    """A note where a size is asked of an image that does not say how large a pixel is.

    No gate raises it and it never withholds.
    """
    if has_spacing or not asks_for_size(question):
        return None
    return Alert(
        code="spacing-missing",
        gate=None,
        withholds=False,
        detail="The file does not say how large a pixel is, so no size can be measured in it.",
    )


def asks_for_size(question: str) -> bool:
    """Whether a question asks for a size.

    Example:
        >>> asks_for_size("How big is the mass?"), asks_for_size("How long does a CT scan take?")
        (True, False)
    """
    asked = question.casefold()
    if re.search(r"\btakes?\b|\btook\b", asked):
        return False
    return _SIZE.search(asked) is not None
