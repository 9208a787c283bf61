"""An image is recognised after what happens to files, and a blank one never."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from tinymed.evaluate.leakage.fingerprint import (
    HASH_SIDE,
    THUMBNAIL_PX,
    Fingerprint,
    fingerprint,
    perceptual_hash,
    picture_of,
)
from tinymed.evaluate.leakage.matches import (
    MAX_DISTANCE_BITS,
    MIN_CORRELATION,
    TrainImages,
    correlation,
)
from tinymed.images.medical_image import MedicalImage


def picture(path: Path, *, seed: int = 0) -> Path:
    """Save blurred noise: random, but with coarse shapes as photos have."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 10), dtype=np.uint8)
    Image.fromarray(noise).resize((200, 240), Image.Resampling.BICUBIC).save(path)
    return path


def taken(path: Path) -> Fingerprint:
    found = fingerprint(path)
    assert found is not None
    return found


def distances(train: list[Path], image: Path) -> list[int]:
    images = TrainImages([taken(path) for path in train])
    return [match.distance_bits for match in images.matches(taken(image))]


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_is_what_scipys_cosine_transform_gives(seed: int) -> None:
    shape = (THUMBNAIL_PX, THUMBNAIL_PX)
    thumbnail = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    low = dctn(thumbnail.astype(float))[:HASH_SIDE, :HASH_SIDE].ravel()
    wanted = low > np.median(low[1:])
    wanted[0] = False
    bits = np.unpackbits(perceptual_hash(thumbnail).view(np.uint8)).astype(bool)
    assert bits.tolist() == wanted.tolist()


def test_a_brighter_picture_has_the_same_hash() -> None:
    thumbnail = np.random.default_rng(1).integers(0, 100, (32, 32), dtype=np.uint8)
    assert (perceptual_hash(thumbnail) == perceptual_hash(thumbnail + np.uint8(100))).all()


def test_a_copy_of_the_file_is_the_same_file(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.png")
    copy = tmp_path / "b.png"
    copy.write_bytes(original.read_bytes())
    (match,) = TrainImages([taken(original)]).matches(taken(copy))
    assert (match.digest, match.distance_bits) == (taken(copy).digest, 0)


def test_a_picture_saved_and_scaled_again_is_near_and_another_one_is_not(tmp_path: Path) -> None:
    original, other = (picture(tmp_path / f"{seed}.png", seed=seed) for seed in (0, 1))
    again = tmp_path / "again.jpg"
    Image.open(original).convert("RGB").resize((150, 180)).save(again, quality=40)
    assert len(distances([original, other], again)) == 1
    assert distances([other], again) == []


def test_a_blank_picture_shows_the_same_as_no_other(tmp_path: Path) -> None:
    paths = [tmp_path / "black.png", tmp_path / "grey.png"]
    for path, level in zip(paths, (0, 128), strict=True):
        Image.new("L", (64, 64), level).save(path)
    assert distances([paths[0]], paths[1]) == []
    assert distances([paths[0]], paths[0]) == [0]
    blank = taken(paths[0]).picture
    assert blank is not None
    assert correlation(blank, blank) == 0.0


def test_close_hashes_of_pictures_that_do_not_correlate_do_not_match(tmp_path: Path) -> None:
    """The hash sees the order of frequencies only; the grey levels must agree too."""
    one = taken(picture(tmp_path / "one.png"))
    other = taken(picture(tmp_path / "other.png", seed=1))
    assert one.picture is not None
    assert other.picture is not None
    twin = Fingerprint(
        digest="twin",
        picture=type(one.picture)(hash=one.picture.hash, thumbnail=other.picture.thumbnail),
    )
    assert TrainImages([twin]).matches(one) == []


def test_pictures_alike_at_a_glance_but_not_in_detail_do_not_match() -> None:
    """As chest films are: the same large shapes, other small ones."""
    ramp = np.linspace(20, 230, 256)[None, :].repeat(256, axis=0)
    pictures = []
    for seed in (0, 1):
        noise = np.random.default_rng(seed).normal(0, 10, (32, 32)).repeat(8, 0).repeat(8, 1)
        grey = (ramp + noise).clip(0, 255).astype(np.uint8)
        pixels = np.stack([grey] * 3, axis=-1)
        pictures.append(picture_of(MedicalImage(pixels=pixels, source="png")))
    one, other = pictures
    assert correlation(one, other) > MIN_CORRELATION
    assert np.bitwise_count(one.hash ^ other.hash).sum() > MAX_DISTANCE_BITS
    train = TrainImages([Fingerprint(digest="one", picture=one)])
    assert train.matches(Fingerprint(digest="other", picture=other)) == []


def test_the_same_file_comes_before_a_near_one_and_near_before_less_near(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.png")
    again, worse = tmp_path / "again.jpg", tmp_path / "worse.jpg"
    image = Image.open(original).convert("RGB")
    image.save(again, quality=90)
    image.crop((2, 2, 198, 238)).save(worse, quality=90)
    found = distances([worse, again, original], original)
    assert len(found) == 3
    assert found == sorted(found)
    assert found[0] == 0


def test_no_train_images_match_nothing(tmp_path: Path) -> None:
    assert TrainImages([]).matches(taken(picture(tmp_path / "a.png"))) == []


def test_a_file_that_is_no_picture_is_known_by_its_bytes_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    found = taken(text)
    assert found.picture is None
    assert [match.distance_bits for match in TrainImages([found]).matches(found)] == [0]


def test_what_is_no_file_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) is None
    assert fingerprint(tmp_path / "missing.png") is None
    assert fingerprint(Path("nul\0.png")) is None


def test_a_file_that_cannot_be_opened_has_no_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(path)

    monkeypatch.setattr("tinymed.evaluate.leakage.fingerprint.sha256_of", refuse)
    assert fingerprint(picture(tmp_path / "a.png")) is None
