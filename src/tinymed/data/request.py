"""What a person asks an importer for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinymed.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Where the files are, and what they do not say themselves."""

    path: Path
    """The folder with the published files or, for a set of one's own, one file."""
    out: Path | None = None
    """Folder of the import; images that come inside other files are written to `out/images`."""
    images: Path | None = None
    """What image names are relative to, where it is not the folder they are named in."""
    split: str | None = None
    """Name of the split, where the files name none."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The file's own name for "question", "answer", "image", "answer_type" or "id"."""

    @property
    def images_out(self) -> Path:
        """Folder for images that come inside other files.

        Raises:
            DataError: If the request names no folder to write to.
        """
        if self.out is None:
            raise DataError(f"'{self.path}' holds images: name a folder to write them to.")
        return self.out / "images"


def files_by_split(request: ImportRequest, *, suffix: str) -> dict[str, Path]:
    """The file, or each file of the folder, under the name of its split.

    A file's own name is its split's name unless the request gives one.

    Raises:
        DataError: If there is no such file, or one name is given to several files.
    """
    if request.path.is_dir():
        files = sorted(file for file in request.path.glob(f"*{suffix}") if file.is_file())
    else:
        files = [request.path]
    if not files or not files[0].is_file():
        raise DataError(f"No {suffix} file in '{request.path}': name the file or its folder.")
    if request.split is None:
        return {file.stem: file for file in files}
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(f"'{request.path}' holds several files ({names}): --split names only one.")
    return {request.split: files[0]}
