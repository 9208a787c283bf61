"""A tokenizer as GGUF stores one: tokens, their kinds, and how text is cut into them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from gguf import TokenType
from tokenizers import Tokenizer

from tinymed.errors import ModelError
from tinymed.models.prompt import Template

if TYPE_CHECKING:
    from gguf import GGUFWriter

_WORD = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SHORT_FORMS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPLITS = {
    _SHORT_FORMS + _WORD + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _SHORT_FORMS + _WORD + r"\p{N}" + _REST: "qwen2",
}
"""llama.cpp's names of the patterns that cut a text into words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What of a tokenizer goes into a GGUF file."""

    model: Literal["gpt2", "llama"]
    """llama.cpp's words for byte-level BPE and for SentencePiece's BPE."""
    pre: str
    """How text is cut into words before it is cut into tokens."""
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    """Of byte-level BPE."""
    scores: tuple[float, ...]
    """Of SentencePiece: the best is joined first."""
    begin_id: int
    end_id: int
    unknown_id: int | None
    adds_begin: bool
    """llama.cpp puts the beginning token before every text."""
    adds_space: bool
    """A space stands before the first word of a text, and behind every control token."""
    leads_with_space: bool
    """A space stands before the first word of the prompt alone: llama.cpp has no flag for it."""

    def add_fields(self, writer: GGUFWriter) -> None:
        """Add the fields that begin with "tokenizer."."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.model == "llama":
            writer.add_token_scores(self.scores)
        else:
            # llama.cpp wants a list that is not empty: of what is no text, where nothing is merged.
            end = self.tokens[self.end_id]
            writer.add_token_merges(self.merges or (f"{end} {end}",))
        writer.add_bos_token_id(self.begin_id)
        writer.add_eos_token_id(self.end_id)
        if self.unknown_id is not None:
            writer.add_unk_token_id(self.unknown_id)
        writer.add_add_bos_token(self.adds_begin)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(self.adds_space)


def read_vocabulary(tokenizer: Tokenizer, template: Template, vocab_size: int) -> Vocabulary:
    """Take a tokenizer apart.

    Args:
        tokenizer: BPE, byte-level or SentencePiece's.
        template: Tells how an answer ends and, where the tokenizer does not, how a text begins.
        vocab_size: Rows of the embedding table; those without a token get one nobody writes.

    Raises:
        ModelError: If llama.cpp has no name for a tokenizer of this kind.
    """
    row = json.loads(tokenizer.to_str())
    model = row["model"]
    if model.get("type") != "BPE":
        _refuse(f"it is {model.get('type')}, not BPE")
    is_bytes = "ByteLevel" in _kinds(row["pre_tokenizer"])
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    tokens, types = _tokens(row, tokenizer, vocab_size)
    begin_id, adds_begin = _begin(tokenizer, template)
    unknown = model.get("unk_token")
    spaces = "never" if is_bytes else _spaces(row)
    return Vocabulary(
        model="gpt2" if is_bytes else "llama",
        pre=_pre(row) if is_bytes else "default",
        tokens=tokens,
        types=types,
        merges=tuple(merges),
        scores=_scores(tokens, merges),
        begin_id=begin_id,
        end_id=_id(tokenizer, template.end),
        unknown_id=None if unknown is None else tokenizer.token_to_id(unknown),
        adds_begin=adds_begin,
        adds_space=spaces == "always",
        leads_with_space=spaces == "first" and _opening_control(tokenizer, template) is None,
    )


def _tokens(
    row: dict[str, Any], tokenizer: Tokenizer, vocab_size: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Every row's token and its kind."""
    named = {index: token for token, index in tokenizer.get_vocab(with_added_tokens=True).items()}
    if max(named) >= vocab_size:
        _refuse(f"it has token {max(named)} and the language model {vocab_size} rows")
    added = {token["id"]: token for token in row["added_tokens"]}
    has_bytes = row["model"].get("byte_fallback", False)
    unknown = row["model"].get("unk_token")
    types = []
    for index in range(vocab_size):
        token = named.get(index)
        if token is None:
            types.append(TokenType.UNUSED)
        elif token == unknown:
            types.append(TokenType.UNKNOWN)
        elif index in added:
            special = added[index]["special"]
            types.append(TokenType.CONTROL if special else TokenType.USER_DEFINED)
        elif has_bytes and len(token) == len("<0x00>") and token.startswith("<0x"):
            types.append(TokenType.BYTE)
        else:
            types.append(TokenType.NORMAL)
    tokens = tuple(named.get(index, f"[PAD{index}]") for index in range(vocab_size))
    return tokens, tuple(int(kind) for kind in types)


def _scores(tokens: tuple[str, ...], merges: list[str]) -> tuple[float, ...]:
    """The earlier a token is first merged, the higher; what no merge makes needs none."""
    first: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        first.setdefault(merge.replace(" ", ""), rank)
    return tuple(-float(first.get(token, len(merges))) for token in tokens)


def _begin(tokenizer: Tokenizer, template: Template) -> tuple[int, bool]:
    """The token that begins a text, and whether llama.cpp is to write it."""
    if template.begin:
        return _id(tokenizer, template.begin), True
    tokenizer.encode_special_tokens = False
    written = tokenizer.encode("", add_special_tokens=True).ids
    if written and template.before_image.startswith(tokenizer.id_to_token(written[0]) or "\0"):
        return written[0], True
    opening = _opening_control(tokenizer, template)
    return (_id(tokenizer, template.end) if opening is None else opening), False


def _opening_control(tokenizer: Tokenizer, template: Template) -> int | None:
    """The control token that the text before the image begins with, if it does."""
    controls = tokenizer.get_added_tokens_decoder().items()
    starts = template.before_image.startswith
    return next((index for index, token in controls if starts(token.content)), None)


def _id(tokenizer: Tokenizer, token: str) -> int:
    index: int | None = tokenizer.token_to_id(token)
    if index is None:
        _refuse(f"it has no token '{token}'")
    return index


def _pre(row: dict[str, Any]) -> str:
    """llama.cpp's name for how byte-level BPE cuts a text into words."""
    normal = row["normalizer"]
    # llama.cpp does not compose characters as NFC does; clean text has none to compose.
    if normal is not None and normal["type"] != "NFC":
        _refuse(f"it normalizes text with {normal['type']}")
    whole = row["pre_tokenizer"]
    steps = whole["pretokenizers"] if whole["type"] == "Sequence" else [whole]
    name = None if steps[-1].get("add_prefix_space", True) else _pre_of(steps)
    if name is None:
        _refuse("it cuts text into words in a way that llama.cpp has no name for")
    return name


def _pre_of(steps: list[dict[str, Any]]) -> str | None:
    *cuts, by_bytes = steps
    if by_bytes.get("use_regex", True):
        if not cuts:
            return "gpt-2"
        return "smollm" if cuts == [{"type": "Digits", "individual_digits": True}] else None
    if len(cuts) != 1 or cuts[0]["type"] != "Split":
        return None
    return _SPLITS.get(cuts[0]["pattern"].get("Regex", ""))


def _spaces(row: dict[str, Any]) -> str:
    """Where SentencePiece's space is put before a word: "always", "first" or "never"."""
    if _kinds(row["pre_tokenizer"]) == ["Metaspace"]:
        scheme: str = row["pre_tokenizer"].get("prepend_scheme", "always")
        return scheme
    kinds = _kinds(row["normalizer"])
    if "Replace" not in kinds:
        _refuse("it marks spaces in a way that llama.cpp has no name for")
    return "always" if "Prepend" in kinds else "never"


def _kinds(step: dict[str, Any] | None) -> list[str]:
    """What a step, or each of a sequence of steps, is called."""
    if step is None:
        return []
    inner = step.get("pretokenizers") or step.get("normalizers") or [step]
    return [one["type"] for one in inner]


def _refuse(why: str) -> NoReturn:
    raise ModelError(f"The model's tokenizer cannot be written as GGUF: {why}.")
