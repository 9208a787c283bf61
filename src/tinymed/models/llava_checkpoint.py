"""A LLaVA checkpoint as plain transformers saves it, read without torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tokenizers import Tokenizer

from tinymed.errors import ModelError
from tinymed.images.prepare import Preprocessing
from tinymed.models.chat_template import read_chat_template
from tinymed.models.language_gguf import BLOCK_NAMES, LanguageConfig
from tinymed.models.prompt import Template, build_prompt
from tinymed.models.tensors import StoredTensors, open_tensors
from tinymed.models.vit import Activation, VitConfig
from tinymed.models.weights import ModelWeights

CONFIG = "config.json"
IMPORT_RECORD = "import.json"

_ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_LANGUAGES = ("llama", "mistral", "qwen2")
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which image processors write down."""

_PREFIXES = {
    # as transformers 5 saves them, and as it did before 4.52
    "model.language_model.": "language.",
    "language_model.model.": "language.",
    "language_model.lm_head.": "lm_head.",
    "lm_head.": "lm_head.",
    "model.vision_tower.": "vision.",
    "vision_tower.": "vision.",
    "model.multi_modal_projector.": "connector.",
    "multi_modal_projector.": "connector.",
}


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a transformers checkpoint, of whatever model."""
    return (folder / CONFIG).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What a checkpoint's small files say."""

    language_type: str
    language: LanguageConfig
    vision: VitConfig
    activation: Activation
    tokenizer: Tokenizer
    template: Template
    preprocessing: Preprocessing


def unreadable_because(folder: Path) -> str | None:
    """Why a checkpoint cannot be read here, from its small files; None if it can.

    Such a one may still be a model that transformers loads.
    """
    try:
        _read_facts(folder)
    except ModelError as error:
        return str(error)
    return None


def language_width(folder: Path) -> int:
    """Numbers a token in a checkpoint's language model; 0 where its config does not say."""
    text = _read_json(folder / CONFIG).get("text_config")
    width = text.get("hidden_size") if isinstance(text, dict) else None
    return width if isinstance(width, int) else 0


def read_llava(folder: Path, *, name: str) -> ModelWeights:
    """Open a LLaVA checkpoint (CLIP or SigLIP; Llama, Mistral or Qwen2).

    No weight is read before it is asked for. Every tensor of the files has a place and every
    tensor of the model is there, or the load fails with the names.

    Raises:
        ModelError: If it is another kind of model, or anything is missing or left over.
    """
    facts = _read_facts(folder)
    parts = _sorted_tensors(open_tensors(folder), folder)
    _check_placed(parts, facts.language, facts.vision, folder)
    return ModelWeights(
        name=name,
        description=f"{facts.language_type} with {facts.vision.kind}, LLaVA layout",
        language=parts["language."].joined(parts["lm_head."].under("", to="lm_head.")),
        language_config=facts.language,
        connector=parts["connector."],
        connector_kind="llava",
        connector_activation=facts.activation,
        fold=1,
        vision_encoder=facts.vision.kind,
        vision=parts["vision."],
        vision_config=facts.vision,
        vision_file=None,
        tokenizer=facts.tokenizer,
        template=facts.template,
        preprocessing=facts.preprocessing,
        num_image_tokens=facts.vision.grid**2,
        digest=checkpoint_digest(folder),
    )


def read_stop_strings(folder: Path) -> tuple[str, ...]:
    """Texts that end an answer of an imported checkpoint, beside its end token."""
    path = folder / IMPORT_RECORD
    return tuple(_read_json(path).get("stop_strings", ())) if path.is_file() else ()


def _read_facts(folder: Path) -> _Facts:
    config = _read_json(folder / CONFIG)
    if config.get("model_type") != "llava":
        _refuse(folder, f"it is a '{config.get('model_type')}', not a 'llava'")
    try:
        language = _language_config(config["text_config"], folder)
        vision = _vision_config(config, folder)
        activation = _ACTIVATIONS[config.get("projector_hidden_act", "gelu")]
        image_id = config.get("image_token_index", config.get("image_token_id"))
    except KeyError as error:
        _refuse(folder, f"its {CONFIG} has no usable {error}")
    if read_stop_strings(folder):
        _refuse(folder, "its answers end at a text, not at a token, which is not read yet")
    tokenizer = _tokenizer(folder)
    image = tokenizer.id_to_token(image_id) if isinstance(image_id, int) else None
    if image is None:
        _refuse(folder, f"its tokenizer has no token {image_id}, where images go")
    begin, end = _begin_and_end(folder)
    template = read_chat_template(
        _chat_template(folder), image=image, begin=begin, end=end, where=str(folder)
    )
    build_prompt(tokenizer, template)  # fails here rather than after an hour of building
    return _Facts(
        language_type=config["text_config"]["model_type"],
        language=language,
        vision=vision,
        activation=activation,
        tokenizer=tokenizer,
        template=template,
        preprocessing=_preprocessing(folder, vision.image_size_px),
    )


def checkpoint_digest(folder: Path) -> str:
    """sha256 that tells one checkpoint from another; costs no reading of weights.

    Over the content of its small files, and over sizes and times of change of its weights.
    """
    rows = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            status = path.stat()
            rows.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
        elif path.suffix in (".json", ".jinja"):
            rows.append(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _language_config(text: dict[str, Any], folder: Path) -> LanguageConfig:
    if text.get("model_type") not in _LANGUAGES:
        _refuse(
            folder,
            f"its language model is a '{text.get('model_type')}'; read are {', '.join(_LANGUAGES)}",
        )
    rope = text.get("rope_parameters") or {}
    scaling = text.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default" or scaling:
        _refuse(folder, "its language model scales its positions, which is not read yet")
    if text.get("mlp_bias") or text.get("hidden_act", "silu") != "silu":
        _refuse(folder, "its language model has another feed-forward layer than Llama's")
    heads = text["num_attention_heads"]
    return LanguageConfig(
        num_layers=text["num_hidden_layers"],
        hidden_size=text["hidden_size"],
        intermediate_size=text["intermediate_size"],
        num_heads=heads,
        num_kv_heads=text.get("num_key_value_heads") or heads,
        head_dim=text.get("head_dim") or text["hidden_size"] // heads,
        rope_theta=float(rope.get("rope_theta") or text.get("rope_theta") or 10000.0),
        rms_norm_eps=float(text["rms_norm_eps"]),
        vocab_size=text["vocab_size"],
        tied=bool(text.get("tie_word_embeddings", False)),
        attention_bias=bool(text.get("attention_bias", text["model_type"] == "qwen2")),
    )


def _vision_config(config: dict[str, Any], folder: Path) -> VitConfig:
    vision = config["vision_config"]
    kinds = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}
    if vision.get("model_type") not in kinds:
        _refuse(folder, f"its vision encoder is a '{vision.get('model_type')}'")
    is_clip = kinds[vision["model_type"]] == "clip"
    layer = config.get("vision_feature_layer", -2)
    if not isinstance(layer, int):
        _refuse(folder, "it joins several of its vision encoder's layers, which is not read yet")
    if config.get("vision_feature_select_strategy", "default") != (
        "default" if is_clip else "full"
    ):
        _refuse(folder, "it takes other patches of its vision encoder than is usual")
    total = vision["num_hidden_layers"]
    return VitConfig(
        kind="clip" if is_clip else "siglip",
        image_size_px=vision["image_size"],
        patch_size_px=vision["patch_size"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_heads=vision["num_attention_heads"],
        num_layers=layer if layer >= 0 else total + 1 + layer,
        layer_norm_eps=float(vision.get("layer_norm_eps", 1e-5 if is_clip else 1e-6)),
        activation=_ACTIVATIONS[
            vision.get("hidden_act", "quick_gelu" if is_clip else "gelu_pytorch_tanh")
        ],
        has_class_token=is_clip,
        has_pre_norm=is_clip,
    )


def _sorted_tensors(tensors: StoredTensors, folder: Path) -> dict[str, StoredTensors]:
    """The tensors of each part, under names that no version of transformers changes."""
    parts = {part: StoredTensors({}) for part in _PREFIXES.values()}
    placed = 0
    for prefix, part in _PREFIXES.items():
        found = tensors.under(prefix)
        placed += len(found)
        parts[part] = parts[part].joined(found)
    if placed != len(tensors):
        strange = [name for name in tensors if not name.startswith(tuple(_PREFIXES))]
        _refuse(folder, f"{len(strange)} tensors have no place in it (first: {strange[:3]})")
    vision = parts["vision."]
    if any(name.startswith("vision_model.") for name in vision):
        parts["vision."] = vision.under("vision_model.")
    return parts


def _check_placed(
    parts: dict[str, StoredTensors], language: LanguageConfig, vision: VitConfig, folder: Path
) -> None:
    expected = {
        "language.": _language_names(language),
        "lm_head.": set() if language.tied else {"weight"},
        "connector.": {f"linear_{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")},
        "vision.": _vision_names(vision),
    }
    missing, strange = [], []
    for part, names in expected.items():
        found = set(parts[part])
        missing += [part + name for name in sorted(names - found)]
        strange += [part + name for name in sorted(found - names) if not _is_idle(name, vision)]
    # A tied output layer may be stored a second time.
    strange = [name for name in strange if not (language.tied and name == "lm_head.weight")]
    if missing or strange:
        _refuse(
            folder,
            f"{len(missing)} tensors are missing (first: {missing[:3]}) and {len(strange)} have no "
            f"place (first: {strange[:3]})",
        )


def _is_idle(name: str, vision: VitConfig) -> bool:
    """Whether a tensor is of what LLaVA never runs: the encoder's later layers and its end."""
    if name.startswith(("post_layernorm.", "head.")) or name == "embeddings.position_ids":
        return True
    words = name.split(".")
    return words[:2] == ["encoder", "layers"] and int(words[2]) >= vision.num_layers


def _language_names(config: LanguageConfig) -> set[str]:
    names = {"embed_tokens.weight", "norm.weight"}
    for layer in range(config.num_layers):
        names |= {f"layers.{layer}.{name}.weight" for name in BLOCK_NAMES.values()}
        if config.attention_bias:
            names |= {f"layers.{layer}.self_attn.{name}_proj.bias" for name in "qkv"}
    return names


def _vision_names(config: VitConfig) -> set[str]:
    names = {"embeddings.patch_embedding.weight", "embeddings.position_embedding.weight"}
    names |= {"embeddings.class_embedding"} if config.has_class_token else set()
    names |= set() if config.kind == "clip" else {"embeddings.patch_embedding.bias"}
    norms = ["pre_layrnorm"] if config.has_pre_norm else []
    modules = ["layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"]
    modules += [f"self_attn.{name}_proj" for name in ("q", "k", "v", "out")]
    layers = [
        f"encoder.layers.{n}.{module}" for n in range(config.num_layers) for module in modules
    ]
    return names | {f"{name}.{kind}" for name in norms + layers for kind in ("weight", "bias")}


def _preprocessing(folder: Path, size_px: int) -> Preprocessing:
    """What the image processor's file says, and the import's record where it cannot say it."""
    row = _read_json(folder / "preprocessor_config.json", processor_key="image_processor")
    size = row.get("crop_size") or row.get("size") or {}
    side = size if isinstance(size, int) else size.get("height", size.get("shortest_edge"))
    if side != size_px:
        _refuse(folder, f"its images are {side} px wide and its encoder reads {size_px} px")
    mode = "crop" if row.get("do_center_crop") else "stretch"
    fill = (0, 0, 0)
    record = folder / IMPORT_RECORD
    if record.is_file():
        wanted = _read_json(record).get("preprocessing", {})
        if wanted.get("image_mode") == "pad":
            mode, fill = "pad-first", tuple(wanted["pad_colour"])
    try:
        return Preprocessing.from_row(
            {
                "size_px": size_px,
                "mean": row["image_mean"],
                "std": row["image_std"],
                "fit": mode,
                "fill": fill,
                "resampling": _RESAMPLING[row.get("resample", 3)],
            }
        )
    except (KeyError, ValueError, TypeError) as error:
        _refuse(folder, f"its image processor's file does not fit: {error!r}")


def _tokenizer(folder: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # noqa: BLE001  # tokenizers raises plain Exception
        _refuse(folder, f"its tokenizer.json cannot be read ({error})")


def _begin_and_end(folder: Path) -> tuple[str, str]:
    row = _read_json(folder / "tokenizer_config.json")
    begin, end = (
        token.get("content", "") if isinstance(token, dict) else token or ""
        for token in (row.get("bos_token"), row.get("eos_token"))
    )
    if not end:
        _refuse(folder, "its tokenizer_config.json names no eos_token, which ends an answer")
    return ("" if row.get("add_bos_token") is False else begin), end


def _chat_template(folder: Path) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            template = _read_json(folder / name).get("chat_template")
            if isinstance(template, str):
                return template
    return _refuse(folder, "it has no chat template")


def _read_json(path: Path, *, processor_key: str | None = None) -> dict[str, Any]:
    if processor_key and not path.is_file():
        path = path.with_name("processor_config.json")
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"The checkpoint '{path.parent}' has no {path.name}.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' cannot be read as JSON: {error}.") from error
    if processor_key and isinstance(row, dict):
        row = row.get(processor_key, row)
    if not isinstance(row, dict):
        raise ModelError(f"'{path}' is no JSON object.")
    return row


def _refuse(folder: Path, what: str) -> NoReturn:
    raise ModelError(f"The checkpoint '{folder}' cannot be used: {what}.")
