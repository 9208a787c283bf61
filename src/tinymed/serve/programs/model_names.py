"""What a program may call the model."""

from __future__ import annotations

from tinymed.errors import UserError
from tinymed.serve.desk.loaded_model import ModelFacts
from tinymed.serve.refusals import NotReadyError
from tinymed.serve.service import Service

_LATEST = ":latest"
"""What Ollama's clients put behind a name that has no tag."""


class NoSuchModelError(UserError):
    """Another model than the one that this server runs."""

    status = 404
    code = "model_not_found"


def loaded_model(service: Service) -> ModelFacts:
    """What is known of the model.

    Raises:
        NotReadyError: While it is being loaded.
    """
    if service.facts is None:
        raise NotReadyError("The model is being loaded. Try again shortly.", retry_after_s=2)
    return service.facts


def check_model(name: str, service: Service) -> None:
    """Refuse a name that means another model.

    Raises:
        NoSuchModelError: If it does; says which there is.
        NotReadyError: While the model is being loaded.
    """
    model = loaded_model(service)
    if name.removesuffix(_LATEST) not in (model.name, f"{model.name}:{model.scheme}"):
        raise NoSuchModelError(
            f"This server runs '{model.name}' and no model of another name. Ask for '{model.name}'."
        )
