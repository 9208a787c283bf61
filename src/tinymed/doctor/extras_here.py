"""Optional packages: which of tinymed's extras are installed, by its own list of them."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

from tinymed.doctor.ingredient import Ingredient

PURPOSES = {
    "demo": "the radiograph of `tinymed demo`",
    "text-metrics": "BLEU and ROUGE-L of `tinymed evaluate`",
    "judge": "`tinymed evaluate judge`",
    "parquet": "data sets as the Hugging Face hub stores them",
    "plots": "the plots of `tinymed profile report` as PNG",
    "report-fonts": "more than Latin letters in a case's PDF",
}
"""Extras that no engine is; those of the engines stand in `engines`."""

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?[^;]*;.*\bextra *== *[\"']([\w-]+)[\"']")


def examine_extras() -> tuple[Ingredient, ...]:
    """Whether each extra is complete, with the command that completes it."""
    rows = []
    for extra, purpose in PURPOSES.items():
        missing = missing_packages(extra)
        rows.append(
            Ingredient(
                name=extra,
                purpose=purpose,
                is_here=not missing,
                note=f"missing: {', '.join(missing)}" if missing else None,
                get=f"pip install 'tinymed[{extra}]'" if missing else None,
            )
        )
    return tuple(rows)


def missing_packages(extra: str) -> tuple[str, ...]:
    """Packages of an extra that are not installed, by what tinymed's own metadata lists."""
    missing = []
    for requirement in requires("tinymed") or []:
        found = _REQUIREMENT.match(requirement)
        if found is None or found[3] != extra:
            continue
        if found[1] == "tinymed":
            missing += [name for one in found[2].split(",") for name in missing_packages(one)]
        elif installed_version(found[1]) is None:
            missing.append(found[1])
    return tuple(missing)


def requirement_on(package: str) -> str:
    """What tinymed asks pip for to get a package: with the version that it was tried with."""
    listed = (requirement.partition(";")[0].strip() for requirement in requires("tinymed") or [])
    return next((one for one in listed if re.match(rf"{re.escape(package)}\b(?!-)", one)), package)


def installed_version(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
