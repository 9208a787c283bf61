"""Every tensor of a checkpoint is placed, or the import fails with the names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, PreTrainedModel
from transformers.utils import logging

from tinymed.errors import ModelError
from tinymed.models.importers.layout import ImportPlan
from tinymed.models.importers.safetensors_file import TensorFacts
from tinymed.models.importers.stored_tensors import stored_tensors

NUM_NAMES_SHOWN = 5


class HasShape(Protocol):
    """A tensor that is described, not read."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> torch.dtype: ...  # noqa: D102


def check_placed(plan: ImportPlan, sources: Collection[str]) -> None:
    """Refuse a checkpoint with a tensor that has no place, or without one that is needed.

    Args:
        plan: What will be made.
        sources: Names of every tensor there is.

    Raises:
        ModelError: Names the first few of each kind and says how many there are.
    """
    used = {name for tensor in plan.tensors for name in tensor.sources}
    complaints = [
        _named("it lacks {}", used - set(sources)),
        _named("this layout has no place for {}", set(sources) - used - set(plan.leftovers)),
        _named("the plan both uses and leaves out {}", used & set(plan.leftovers)),
    ]
    _refuse("The checkpoint is not what its layout says", complaints)


def planned_facts(plan: ImportPlan, sources: Mapping[str, HasShape]) -> list[TensorFacts]:
    """What every tensor of the result will be like; no weight is read.

    Raises:
        ModelError: If one cannot be made of tensors of the shapes that there are.
    """
    facts = []
    for tensor in plan.tensors:
        given = [
            torch.empty(sources[name].shape, dtype=sources[name].dtype, device="meta")
            for name in tensor.sources
        ]
        try:
            made = tensor.make(given)
        except (RuntimeError, ValueError, IndexError) as error:
            shapes = ", ".join(f"{name} {sources[name].shape}" for name in tensor.sources)
            raise ModelError(
                f"'{tensor.name}' cannot be made of {shapes}: {str(error).splitlines()[0]}"
            ) from error
        facts.append(TensorFacts(name=tensor.name, shape=tuple(made.shape), dtype=made.dtype))
    return facts


def check_planned(plan: ImportPlan, facts: Iterable[TensorFacts]) -> None:
    """Compare what will be written with what transformers' class for the config has.

    Raises:
        ModelError: If a tensor is missing, left over, there twice or of another shape.
    """
    wanted = state_shapes(empty_model(plan.config))
    sources = {tensor.name: tensor.sources for tensor in plan.tensors}
    found: dict[str, tuple[int, ...]] = {}
    twice = set()
    for one in facts:
        if one.name in found:
            twice.add(one.name)
        found[one.name] = one.shape
    other = {
        f"{' and '.join(sources[name]) or name} (the config wants {wanted[name]}, the checkpoint "
        f"makes {found[name]})"
        for name in wanted.keys() & found.keys()
        if wanted[name] != found[name]
    }
    complaints = [
        _named("{} would be missing", wanted.keys() - found.keys()),
        _named("{} would be left over", found.keys() - wanted.keys()),
        _named("{} would be written twice", twice),
        _named("other shapes: {}", other),
    ]
    _refuse("The checkpoint does not fit its own config", complaints)


def check_result(folder: Path) -> None:
    """Ask transformers' own loader what it makes of a folder's weights; none is read.

    Raises:
        ModelError: If it would miss, drop or reshape one.
    """
    model = empty_model(AutoConfig.from_pretrained(folder).to_dict())
    # One number stands for all of a tensor's: the loader sees names and shapes, no memory is
    # used, and accelerate, which loads to the meta device, is not needed.
    state = {
        name: torch.zeros(()).expand(tensor.shape)
        for name, tensor in stored_tensors(folder).items()
    }
    with _silence():
        loaded: Any = type(model).from_pretrained(
            None,
            config=AutoConfig.from_pretrained(folder),
            state_dict=state,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    _model, report = loaded
    other = {f"{name} ({given} for {wanted})" for name, given, wanted in report["mismatched_keys"]}
    complaints = [
        _named("it lacks {}", report["missing_keys"]),
        _named("no place for {}", report["unexpected_keys"]),
        _named("other shapes: {}", other),
    ]
    _refuse(f"transformers would not load all of '{folder}'", complaints)


def check_image_token(folder: Path) -> None:
    """Load a folder's processor and see that its image token is the model's.

    Raises:
        ModelError: If it does not load, or the model looks for the image at another token.
    """
    try:
        processor = AutoProcessor.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(
            f"transformers cannot load the processor of '{folder}': {str(error).splitlines()[0]}"
        ) from error
    token = getattr(processor, "image_token", None)
    wanted = getattr(AutoConfig.from_pretrained(folder), "image_token_id", None)
    if token is None or wanted is None:
        return  # a kind of model that marks images in another way
    ids = processor.tokenizer.encode(token, add_special_tokens=False)
    if ids != [wanted]:
        raise ModelError(
            f"In '{folder}' the tokenizer makes {ids} of '{token}' and the model looks for the "
            f"image at {wanted}."
        )


def empty_model(config: Mapping[str, Any]) -> PreTrainedModel:
    """The transformers model of a config.json, without memory for its weights.

    Raises:
        ModelError: If no class of transformers answers about images with this config.
    """
    values = dict(config)
    try:
        made = AutoConfig.for_model(values.pop("model_type"), **values)
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForImageTextToText.from_config(made)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"transformers has no image and text model for this config: {error}"
        ) from error
    return model


def state_shapes(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a checkpoint of this model holds; a tied tensor once."""
    shared = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tied = shared - {name for name, _ in model.named_parameters()}
    return {
        name: tuple(value.shape) for name, value in model.state_dict().items() if name not in tied
    }


@contextmanager
def _silence() -> Iterator[None]:
    """No bar and no report of transformers' own: what it found is told in one sentence."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _named(sentence: str, names: Collection[str]) -> str | None:
    """The sentence with the first few names and the count, or None without names."""
    if not names:
        return None
    shown = ", ".join(sorted(names)[:NUM_NAMES_SHOWN])
    more = len(names) - NUM_NAMES_SHOWN
    count = f"{len(names)} tensor{'s' if len(names) > 1 else ''}"
    return sentence.format(f"{count}: {shown}" + (f" and {more} more" if more > 0 else ""))


def _refuse(what: str, complaints: Iterable[str | None]) -> None:
    said = [complaint for complaint in complaints if complaint]
    if said:
        raise ModelError(f"{what}: {'; '.join(said)}.")
