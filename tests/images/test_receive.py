"""A received frame: what the model sees, what a viewer windows, what the file says of it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).parent))

from malformed import dicom, jpeg, lookup_table, palette, png

from tinymed.errors import ImageError
from tinymed.images.intake import read_image
from tinymed.images.receive import receive_image
from tinymed.images.received import GreyLevels, ReceivedFrame


def sample(name: str) -> Path:
    """Find one of pydicom's own files, which are installed with it."""
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), f"{name} is not installed"
    return Path(found)


def received(name: str, frame: int | None = None) -> ReceivedFrame:
    """Receive one of pydicom's own files."""
    return receive_image(sample(name).read_bytes(), frame=frame)


def levels_of(frame: ReceivedFrame) -> GreyLevels:
    """Give the levels that there must be."""
    assert frame.levels is not None
    return frame.levels


def windowed(levels: GreyLevels) -> np.ndarray:
    """Show levels by the linear function of PS3.3 C.11.2.1.2.1, as a viewer does."""
    values = levels.values.astype(np.float64)
    if levels.width > 1:
        shown = ((values - (levels.center - 0.5)) / (levels.width - 1) + 0.5) * 255
    else:
        shown = np.where(values > levels.center - 0.5, 255.0, 0.0)
    shown = shown.clip(0, 255)
    return 255 - shown if levels.is_inverted else shown


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "CT_small.dcm", "MR_small.dcm", "US1_J2KR.dcm"])
def test_the_model_sees_what_it_sees_of_a_path(name: str) -> None:
    image, frame = read_image(sample(name)), received(name)
    assert (frame.image.pixels == image.pixels).all()
    assert (frame.image.notes, frame.image.source) == (image.notes, image.source)


def test_bytes_and_an_open_file_give_the_same() -> None:
    with sample("CT_small.dcm").open("rb") as stream:
        frame = receive_image(stream)
    assert (frame.image.pixels == received("CT_small.dcm").image.pixels).all()


@pytest.mark.parametrize(
    "name",
    [
        "RG1_UNCR.dcm",  # MONOCHROME1, a window
        "RG3_UNCR.dcm",
        "CT_small.dcm",  # a rescale
        "MR_small.dcm",  # a window
        "MR_small_bigendian.dcm",
        "mlut_18.dcm",  # a modality table
        "693_J2KR.dcm",
    ],
)
def test_a_viewer_that_applies_the_window_shows_what_the_model_sees(name: str) -> None:
    frame = received(name)
    shown = windowed(levels_of(frame))
    assert np.abs(shown - frame.image.pixels[..., 0]).max() <= 1


def test_without_a_window_the_viewer_is_given_the_one_of_the_percentiles() -> None:
    frame = receive_image(dicom(PhotometricInterpretation="MONOCHROME1"))
    assert levels_of(frame).is_inverted
    assert np.abs(windowed(levels_of(frame)) - frame.image.pixels[..., 0]).max() <= 1


def test_a_voi_table_becomes_the_window_between_its_ends() -> None:
    table = np.concatenate([np.zeros(300), np.linspace(0, 65535, 400), np.full(324, 65535)])
    content = table.round().astype("<u2").tobytes()
    frame = receive_image(dicom(VOILUTSequence=lookup_table([1024, 0, 16], content)))
    assert np.abs(windowed(levels_of(frame)) - frame.image.pixels[..., 0]).max() <= 3


def test_levels_are_values_after_the_rescale() -> None:
    frame = received("CT_small.dcm")
    dataset = dcmread(sample("CT_small.dcm"))
    values = dataset.pixel_array.astype(int) * dataset.RescaleSlope + dataset.RescaleIntercept
    assert (levels_of(frame).values == values).all()
    assert levels_of(frame).values.dtype == np.int16
    assert levels_of(frame).values.dtype.isnative


@pytest.mark.parametrize("slope", [0.5, 1.25, -0.5])
def test_values_that_are_no_whole_numbers_leave_the_stored_ones(slope: float) -> None:
    attributes = {"RescaleSlope": slope, "RescaleIntercept": 3, "WindowCenter": slope * 500}
    frame = receive_image(dicom(**attributes, WindowWidth=300))
    levels = levels_of(frame)
    assert (levels.values.ravel() == np.arange(1024)).all()
    assert levels.is_inverted is (slope < 0)
    assert np.abs(windowed(levels) - frame.image.pixels[..., 0]).max() <= 2


def test_padding_is_as_dark_as_anything_in_the_viewer_too() -> None:
    content = dicom(
        PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, PixelPaddingRangeLimit=9
    )
    levels = levels_of(receive_image(content))
    assert set(levels.values.ravel()[:10].tolist()) == {1023}  # low is bright here


def test_eight_bit_grey_is_given_in_eight_bits() -> None:
    pixels = (np.arange(1024) % 200).astype(np.uint8).tobytes()
    frame = receive_image(dicom(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=pixels))
    assert levels_of(frame).values.dtype == np.uint8


@pytest.mark.parametrize("slope", ["1e30", "1e-300", "65000"])
def test_a_rescale_beyond_all_bounds_still_gives_finite_windows(slope: str) -> None:
    levels = receive_image(dicom(RescaleSlope=slope, RescaleIntercept="0")).levels
    assert levels is None or np.isfinite([levels.center, levels.width]).all()


def test_colour_leaves_the_viewer_no_levels() -> None:
    assert received("US1_J2KR.dcm").levels is None
    assert receive_image(palette([1024, 0, 16], b"\0\1" * 1024)).levels is None
    assert receive_image(jpeg(40, 40)).levels is None


def test_a_sixteen_bit_png_gives_its_levels() -> None:
    values = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(100, 100)
    file = io.BytesIO()
    Image.fromarray(values).save(file, format="PNG")
    frame = receive_image(file.getvalue())
    assert (levels_of(frame).values == values).all()
    assert np.abs(windowed(levels_of(frame)) - frame.image.pixels[..., 0]).max() <= 1


@pytest.mark.parametrize("index", [0, 3, 9])
def test_the_frame_asked_for_is_decoded(index: int) -> None:
    frame = received("emri_small.dcm", index)
    stored = dcmread(sample("emri_small.dcm")).pixel_array[index]
    assert (frame.frame, frame.num_frames) == (index, 10)
    assert frame.image.notes[0] == f"frame {index + 1} of 10"
    assert (levels_of(frame).values == stored).all()


@pytest.mark.parametrize("frame", [-1, 10])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(ImageError, match=r"it has no frame .*; choose one from 1 to 10"):
        received("emri_small.dcm", frame)


@pytest.mark.parametrize(
    "content", [jpeg(40, 40), png(40, 40), dicom()], ids=["jpeg", "png", "dcm"]
)
def test_a_single_frame_has_no_second(content: bytes) -> None:
    assert receive_image(content, frame=0).num_frames == 1
    with pytest.raises(ImageError, match="Cannot read this file: it has a single frame"):
        receive_image(content, frame=1)


def test_facts_are_the_standards_terms() -> None:
    facts = receive_image(
        dicom(Modality="CR", BodyPartExamined="CHEST", BurnedInAnnotation="NO")
    ).facts
    assert (facts.modality, facts.body_part, facts.says_burned_in_text) == ("CR", "CHEST", False)
    assert receive_image(dicom(BurnedInAnnotation="YES")).facts.says_burned_in_text is True


def test_facts_that_are_no_terms_are_left_out() -> None:
    facts = receive_image(
        dicom(Modality="DOE", BodyPartExamined="JANE DOE", BurnedInAnnotation="DOE")
    ).facts
    assert (facts.modality, facts.body_part, facts.says_burned_in_text) == (None, None, None)


@pytest.mark.parametrize(
    ("spacing", "has_spacing"),
    [
        ({"PixelSpacing": [0.2, 0.2]}, True),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, True),
        ({"PixelSpacing": [0, 0]}, False),
        ({"PixelSpacing": [-1, 1]}, False),
        ({"PixelSpacing": [1]}, False),
        ({}, False),
    ],
)
def test_a_spacing_counts_where_it_is_above_nothing(
    spacing: dict[str, object], *, has_spacing: bool
) -> None:
    assert receive_image(dicom(**spacing)).facts.has_spacing is has_spacing


def test_the_zero_spacing_of_a_real_radiograph_does_not_count() -> None:
    assert not received("RG1_UNCR.dcm").facts.has_spacing


def test_a_frames_own_spacing_counts() -> None:
    measures, group = Dataset(), Dataset()
    measures.PixelSpacing = [0.3, 0.3]
    group.PixelMeasuresSequence = [measures]
    assert receive_image(dicom(PerFrameFunctionalGroupsSequence=[group])).facts.has_spacing


@pytest.mark.parametrize(("tag", "is_from_camera"), [(271, True), (272, True), (305, False)])
def test_a_cameras_data_are_seen(tag: int, *, is_from_camera: bool) -> None:
    exif = Image.Exif()
    exif[tag] = "Phone"
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, format="JPEG", exif=exif)
    assert receive_image(file.getvalue()).facts.is_from_camera is is_from_camera


def test_an_exposure_time_alone_tells_a_camera() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[33434] = 0.01
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, format="JPEG", exif=exif)
    assert receive_image(file.getvalue()).facts.is_from_camera
