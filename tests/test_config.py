"""Recipes: strict, typed, resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tinymed.config import load_recipe, resolved
from tinymed.errors import ConfigError
from tinymed.train.config import TrainConfig

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    rank: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    files: tuple[Path, ...]
    rate: float = 0.1
    threads: int | None = None
    fast: bool = False
    inner: Inner = field(default_factory=Inner)


def _load(tmp_path: Path, text: str, *overrides: str) -> Outer:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return load_recipe(path, Outer, table="train", overrides=overrides)


def test_defaults_recipe_and_override_win_in_that_order(tmp_path: Path) -> None:
    text = '[train]\nfiles = ["a"]\nrate = 1\n[train.inner]\nrank = 8\n'
    config = _load(tmp_path, text, "train.inner.rank=2", "train.fast=true")
    assert config == Outer(files=(Path("a"),), rate=1.0, fast=True, inner=Inner(rank=2))
    assert resolved(config)["files"] == ["a"]


@pytest.mark.parametrize(
    ("text", "override", "sentence"),
    [
        (
            "[train]\nfiles=[]\n[train.inner]\nrnak=1",
            None,
            r"Unknown key 'train.inner.rnak'. Did you mean 'rank'\?",
        ),
        ("[train]\nfiles=[]\nrate='x'", None, "'train.rate' is 'x'; it takes float"),
        ("[train]\nfiles=[]\nthreads=true", None, "'train.threads' is True; it takes int"),
        ("[train]\nfiles=[]\nfast=1", None, "'train.fast' is 1; it takes bool"),
        ("[train]\nrate=1", None, "Missing key 'train.files'"),
        ("[trian]\nrate=1", None, "Unknown table 'trian'"),
        ("[train\n", None, "is not TOML"),
        ("[train]\nfiles=[]", "rate=1", "Cannot read the override 'rate=1'"),
        ("[train]\nfiles=[]", "train.rate.x=1", "'train.rate' is"),
    ],
)
def test_a_bad_recipe_is_refused_by_the_key(
    tmp_path: Path, text: str, override: str | None, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        _load(tmp_path, text, *([override] if override else []))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No recipe"):
        load_recipe(tmp_path / "none.toml", Outer, table="train")


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipe_is_valid(recipe: Path) -> None:
    load_recipe(recipe, TrainConfig, table="train")
