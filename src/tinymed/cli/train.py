"""`tinymed train`: fine-tune a model by a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. Default: runs/RECIPE.")
@click.option(
    "--features",
    type=click.Path(path_type=Path),
    default=Path("features"),
    show_default=True,
    help="Where the frozen encoder's features are kept between runs.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the recipe.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
@click.option("--dry-run", is_flag=True, help="Print the resolved recipe and stop.")
def train(
    recipe: Path,
    *,
    out: Path | None,
    features: Path,
    overrides: tuple[str, ...],
    resume: bool,
    dry_run: bool,
) -> None:
    """Fine-tune a model by RECIPE, a TOML file.

    The run folder ends with a folder `model` that ask and evaluate take in place of a
    model's name.

    \b
    Example:
        tinymed train recipes/nano.toml --out runs/nano
        tinymed train recipes/nano.toml --out runs/quick --set train.epochs=1
    """
    from tinymed.config import load_recipe, resolved
    from tinymed.train.config import TrainConfig

    config = load_recipe(recipe, TrainConfig, table="train", overrides=overrides)
    if dry_run:
        click.echo(json.dumps(resolved(config), indent=2))
        return
    from tinymed.train.start import train_by_recipe

    folder = out or Path("runs") / recipe.stem
    click.echo(train_by_recipe(config, folder, features_folder=features, resume=resume))
