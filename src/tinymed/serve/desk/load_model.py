"""Opening a model with its gates, and warming it up."""

from __future__ import annotations

from tinymed.engines.batching import open_batch
from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Engine, prepared
from tinymed.evaluate.controls import black_image
from tinymed.quantize.first_use import open_compared
from tinymed.safe.answering import SafeAnswering, SeenImage
from tinymed.safe.image.look import look_at, not_looked
from tinymed.safe.image.scope import scope_alerts
from tinymed.safe.image.text import find_text_finder
from tinymed.safe.policy import SafetyPolicy, read_policy, read_scope
from tinymed.serve.desk.loaded_model import LoadedModel, ModelFacts
from tinymed.serve.settings import ServeSettings

_WARM_UP_TOKENS = 2


def load_model(settings: ServeSettings) -> LoadedModel:
    """Open the model that the settings name; for the thread that will own it.

    Its build is made and compared first, where that was never done. Without the text
    detector's file the gate "text" looks at no image; without a scope beside the model's
    policy the gate "scope" knows an image by what its file says of it alone.

    Args:
        settings: Which model, and what each gate may do.

    Raises:
        UserError: If there is no such model, it is damaged or did not pass, or the safety
            policy that is named is another model's.
    """
    engine = open_compared(
        settings.model, threads=settings.threads, force_build=settings.force_build
    )
    policy = read_policy(settings.safety, engine)
    gates = settings.gates
    finder = find_text_finder()
    scope = read_scope(settings.safety, engine) if policy is not None else None
    model = LoadedModel(
        engine=engine,
        batch=open_batch(engine),
        answering=SafeAnswering(engine, gates=gates, policy=policy),
        look=lambda frame: look_at(frame, gates, finder=finder),
        scope=None
        if scope is None or gates.scope == "off"
        else lambda encoded: scope_alerts(encoded, scope, gates),
        facts=_facts(engine, policy),
        not_checked=not_looked(finder, knows_scope=scope is not None),
    )
    _warm_up(model)
    return model


def _facts(engine: Engine, policy: SafetyPolicy | None) -> ModelFacts:
    fitted = policy is not None and any(
        calibration.platt is not None for calibration in policy.calibration.values()
    )
    return ModelFacts(
        name=engine.model,
        scheme=engine.scheme,
        weights_sha256=engine.weights_digest,
        is_calibrated=fitted,
        split=policy.split if policy is not None else None,
    )


def _warm_up(model: LoadedModel) -> None:
    """Have everything run once: engines lay out matrices when they are first used."""
    engine, batch = model.engine, model.batch
    black = black_image(size_px=engine.preprocessing.size_px)
    encoded = engine.encode(prepared(engine, black), keep_stages=model.scope is not None)
    if model.scope is not None:
        model.scope(encoded)
    decoding = Decoding(max_new_tokens=_WARM_UP_TOKENS)
    model.answering.begin(SeenImage(encoded=encoded), "Is there a fracture?", decoding)
    batch.add(encoded, "What is this?", decoding, lambda _piece, _probability: None)
    while len(batch):
        batch.step()
