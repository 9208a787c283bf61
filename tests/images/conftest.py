"""DICOM files made for one test each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

RAMP: npt.NDArray[np.uint16] = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
"""Stored values 0 to 1023, left to right and top to bottom."""


class WriteDicom(Protocol):
    """Write a grey DICOM file; keywords set or replace attributes, None removes one."""

    def __call__(self, **attributes: Any) -> Path:
        """Return the file's path."""


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    """Give a function that writes RAMP as a DICOM file."""

    def write(**attributes: Any) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = attributes.pop("syntax", ExplicitVRLittleEndian)
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = "1.2.3"
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows, dataset.Columns = RAMP.shape
        dataset.BitsAllocated = 16
        dataset.BitsStored = 10
        dataset.HighBit = 9
        dataset.PixelRepresentation = 0
        dataset.PixelData = RAMP.tobytes()
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            dataset["PixelData"].is_undefined_length = True
        path = tmp_path / "picture.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
