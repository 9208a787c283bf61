"""PNG and JPEG pictures come out as eight-bit RGB, the right way up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

from tinymed.images.intake import read_image

if TYPE_CHECKING:
    from pathlib import Path


def test_an_rgb_png_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.source == "png"
    assert (image.pixels == pixels).all()
    assert image.notes == ()


def test_the_kind_is_told_by_the_bytes_and_not_by_the_name(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "scan.dcm", format="JPEG")
    assert read_image(tmp_path / "scan.dcm").source == "jpeg"


def test_a_phone_photo_is_turned_upright(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20))
    photo.paste((255, 255, 255), (0, 0, 20, 20))  # bright on the left as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "photo.jpg")
    assert image.pixels.shape == (40, 20, 3)
    assert image.pixels[:15].min() > 200
    assert image.pixels[-15:].max() < 50
    assert image.notes == ("turned upright: EXIF orientation 6",)


@pytest.mark.parametrize("orientation", range(1, 10))
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path: Path, orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as photo:
        upright = np.asarray(ImageOps.exif_transpose(photo))
    image = read_image(tmp_path / "a.png")
    assert (image.pixels == upright).all()
    assert bool(image.notes) is (2 <= orientation <= 8)


def test_a_photo_is_turned_though_its_exif_could_not_be_written_anew(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Nokia"
    strange = exif.tobytes().replace(b"\x01\x0e\0\2", b"\x01\x1a\0\2")  # a resolution in words
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=strange)
    assert read_image(tmp_path / "a.jpg").pixels.shape == (40, 20, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_photo_is_shown_whatever_its_exif_is_made_of(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Nokia"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    good = exif.tobytes()
    random = np.random.default_rng(3)
    num_turned = 0
    for _ in range(300):
        broken = bytearray(good)
        for position in random.integers(6, len(good), 3):
            broken[position] = random.integers(256)
        Image.new("L", (40, 20)).save(tmp_path / "a", format=kind, exif=bytes(broken))
        num_turned += read_image(tmp_path / "a").pixels.shape == (40, 20, 3)
    assert 100 < num_turned < 300


def test_twelve_bit_values_in_a_sixteen_bit_png_fill_the_grey_scale(tmp_path: Path) -> None:
    levels = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(100, 100)
    Image.fromarray(levels).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").pixels[..., 0]
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


def test_one_hot_pixel_does_not_darken_a_sixteen_bit_png(tmp_path: Path) -> None:
    levels = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(100, 100)
    Image.fromarray(levels).save(tmp_path / "plain.png")
    levels[50, 50] = 65535
    Image.fromarray(levels).save(tmp_path / "hot.png")
    plain = read_image(tmp_path / "plain.png").pixels.astype(int)
    hot = read_image(tmp_path / "hot.png").pixels.astype(int)
    hot[50, 50] = plain[50, 50]
    assert np.abs(plain - hot).max() <= 1


def test_transparent_parts_turn_black(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    picture.paste((200, 100, 50, 255), (0, 0, 10, 20))
    picture.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels[0, 0].tolist() == [200, 100, 50]
    assert pixels[0, 19].tolist() == [0, 0, 0]


def test_a_palette_png_gets_its_colours(tmp_path: Path) -> None:
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels[5, 5].tolist() == [10, 20, 30]


def test_a_one_bit_png_becomes_black_and_white(tmp_path: Path) -> None:
    picture = Image.new("1", (20, 20))
    picture.paste(1, (0, 0, 10, 20))
    picture.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").pixels
    assert set(pixels[:, :10].ravel().tolist()) == {255}
    assert set(pixels[:, 10:].ravel().tolist()) == {0}


def test_a_cmyk_jpeg_gets_its_colours(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (250, 10, 10)).convert("CMYK").save(tmp_path / "a.jpg")
    red, green, blue = read_image(tmp_path / "a.jpg").pixels[5, 5].tolist()
    assert red > 230
    assert max(green, blue) < 40


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"])
def test_every_kind_of_png_becomes_eight_bit_rgb(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (30, 20)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8
