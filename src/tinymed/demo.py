"""The demonstration: three questions about a real chest radiograph."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tinymed.errors import MissingExtraError

RADIOGRAPH = "RG1_UNCR.dcm"

QUESTIONS = (
    "What kind of image is this?",
    "Which part of the body is shown?",
    "Is there an abnormality?",
)


def demo_radiograph() -> Path:
    """The radiograph that the installed package 'pydicom-data' carries.

    Found through the package's list of files: pydicom's own look-up would download it.

    Raises:
        MissingExtraError: If the package is not installed.
    """
    try:
        package = distribution("pydicom-data")
    except PackageNotFoundError:
        files = []
    else:
        files = [file for file in package.files or [] if file.name == RADIOGRAPH]
    for file in files:
        path = Path(str(file.locate()))
        if path.is_file():
            return path
    raise MissingExtraError(
        f"The demo's radiograph '{RADIOGRAPH}' comes with the package 'pydicom-data'. "
        "Install it with: pip install 'tinymed[demo]'"
    )
