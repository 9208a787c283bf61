"""Everything that is said of an image before a model sees it."""

from __future__ import annotations

from collections.abc import Mapping

from tinymed.images.received import ReceivedFrame
from tinymed.safe.gate import Alert, GateName, Gates
from tinymed.safe.image.facts import modality_alert, single_slice_alert
from tinymed.safe.image.film_photo import film_photo_alert
from tinymed.safe.image.quality import quality_alerts
from tinymed.safe.image.reduced import reduced
from tinymed.safe.image.text import TextFinder, text_alert


def look_at(
    frame: ReceivedFrame, gates: Gates, *, finder: TextFinder | None = None
) -> tuple[Alert, ...]:
    """What a reader has to know of an image, but for what only the model's encoder can tell.

    Args:
        frame: As it was decoded.
        gates: Those that are off do not look.
        finder: What finds writing. Without one the gate "text" does not look, and
            `not_looked` says so.
    """
    small = reduced(frame.image.pixels)
    found: list[Alert | None] = []
    if gates.quality != "off":
        found += quality_alerts(small, gates)
    if gates.film_photo != "off":
        found.append(film_photo_alert(small, frame.facts, gates))
    if gates.text != "off" and finder is not None:
        found.append(text_alert(frame.image.pixels, gates, finder))
    found += [modality_alert(frame.facts, gates), single_slice_alert(frame)]
    return tuple(alert for alert in found if alert is not None)


def not_looked(finder: TextFinder | None, *, knows_scope: bool = True) -> Mapping[GateName, str]:
    """The gates that cannot look at any image, and why.

    Args:
        finder: What finds writing, if it is there.
        knows_scope: Whether it was measured what the model's training images look like.
    """
    found: dict[GateName, str] = {}
    if finder is None:
        found["text"] = "the text detector is not on this computer; run: tinymed models pull nano"
    if not knows_scope:
        found["scope"] = (
            "what this model's training images look like was not measured; the question, and what "
            "the file says of its image, were looked at"
        )
    return found
