"""A build that was never compared is compared when it is first used, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engines.tiny_model import tiny_weights

from tinymed.engines import choose
from tinymed.engines.openvino import build_openvino
from tinymed.errors import ModelError
from tinymed.models.build import Build
from tinymed.models.parity_mark import write_parity
from tinymed.models.schemes import find_scheme
from tinymed.quantize import first_use
from tinymed.quantize.first_use import open_compared


class Gate:
    """In the gate's place: counts, and says what it is told to."""

    def __init__(self, *, passes: bool) -> None:
        self.passes = passes
        self.num_compared = 0

    def __call__(self, build: Build, *_others: Any) -> dict[str, Any]:
        self.num_compared += 1
        report = {"passed": self.passes, "reasons": [] if self.passes else ["it is broken"]}
        write_parity(build, report)
        return report


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    folder = tmp_path / "build"
    build_openvino(tiny_weights(tmp_path), folder, scheme=find_scheme("openvino-int8"))
    gate = Gate(passes=True)
    for module in (first_use, choose):
        monkeypatch.setattr(module, "ensure_build", lambda *_: folder)
        monkeypatch.setattr(module, "require_parts", lambda _manifest: {})
    monkeypatch.setattr(first_use, "compare_build", gate)
    return gate


def test_it_is_compared_once(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert open_compared("nano", threads=1).model == "tiny"
    assert gate.num_compared == 1
    assert capsys.readouterr().err.count("Comparing tiny:openvino-int8 with its model") == 1


def test_one_that_fails_is_refused_from_then_on(gate: Gate) -> None:
    gate.passes = False
    for _ in range(2):
        with pytest.raises(ModelError, match=r"answers differently .*it is broken"):
            open_compared("nano", threads=1)
    assert gate.num_compared == 1


def test_one_that_is_forced_is_not_compared(gate: Gate) -> None:
    engine = open_compared("nano", threads=1, force_build="tiny:openvino-int8")
    assert (engine.model, gate.num_compared) == ("tiny", 0)
