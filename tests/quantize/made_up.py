"""What observations that are made up for tests have in common."""

from __future__ import annotations

from collections.abc import Callable

from tinymed.images.prepare import Preprocessing
from tinymed.models.build import Build, BuildPart
from tinymed.models.prompt import CHATML
from tinymed.models.schemes import PARTS
from tinymed.quantize.observe import Observed

VOCABULARY = 50
YES, NO = 3, 4
"""Places in the logits of the first tokens of the two answers."""

Make = Callable[..., Observed]

BUILD = Build(
    model="tiny",
    description="",
    scheme="openvino-int8",
    parts=tuple(
        BuildPart(name=name, precision="int8", num_weights=8, num_bytes=9) for name in PARTS
    ),
    source_digest="",
    template=CHATML,
    preprocessing=Preprocessing(),
    num_image_tokens=4,
    context_tokens=64,
    made_with={},
)
