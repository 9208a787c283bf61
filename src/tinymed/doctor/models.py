"""The models on this computer, and what completes those that are not."""

from __future__ import annotations

from tinymed.doctor.ingredient import Ingredient
from tinymed.models.describe import describe_models
from tinymed.models.installed import installed_models


def examine_models() -> tuple[Ingredient, ...]:
    """The models that tinymed ships, and those that were installed."""
    shipped = tuple(
        Ingredient(
            name=row["name"],
            purpose=row["description"],
            is_here=row["complete"],
            get=None if row["complete"] else f"tinymed models pull {row['name']}",
        )
        for row in describe_models()
    )
    installed = tuple(
        Ingredient(
            name=model.name,
            purpose=f"{model.kind}, {model.num_bytes / 2**30:.2f} GiB",
            is_here=True,
        )
        for model in installed_models()
    )
    return shipped + installed
