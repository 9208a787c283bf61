"""A model as the server uses it: engine, batch and gates, made together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tinymed.engines.batch import Batch
from tinymed.engines.protocol import EncodedImage, Engine
from tinymed.images.received import ReceivedFrame
from tinymed.safe.answering import SafeAnswering
from tinymed.safe.gate import Alert, GateName


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What clients are told of the model."""

    name: str
    scheme: str
    weights_sha256: str
    is_calibrated: bool
    """Whether answers carry how often answers like them were right."""
    split: str | None
    """What that was measured on, such as "SLAKE validation"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that answers. Engine, batch and answering belong to one thread."""

    engine: Engine
    batch: Batch
    answering: SafeAnswering
    look: Callable[[ReceivedFrame], tuple[Alert, ...]]
    """The gates that look at pixels; for any thread."""
    scope: Callable[[EncodedImage], tuple[Alert, ...]] | None
    """The gate that looks at what the vision encoder made of an image; None where it is off or
    the model has none. It needs an image's stages, and the model's thread."""
    facts: ModelFacts
    not_checked: Mapping[GateName, str] = field(default_factory=dict)
    """Gates that cannot look at images, and why."""
