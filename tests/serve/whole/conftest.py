"""The real server with the shipped model, as a process of its own."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from PIL import Image
from real_server import RealServer, chest_file, real_server

from tinymed.images.intake import read_image


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for all tests that do not end it."""
    audit = tmp_path_factory.mktemp("served") / "audit.sqlite"
    with real_server(audit, "--allow-raw") as running:
        yield running


@pytest.fixture(scope="session")
def chest() -> bytes:
    """A radiograph of a chest, 1841 x 1955 pixels, DICOM."""
    return chest_file().read_bytes()


@pytest.fixture(scope="session")
def small_chest() -> bytes:
    """The same, 482 x 512 pixels, PNG: where what is asked matters and not what is uploaded."""
    picture = Image.fromarray(read_image(chest_file()).pixels).resize((482, 512))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
