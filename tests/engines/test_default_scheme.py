from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinymed.engines import default_scheme as default_scheme_module
from tinymed.engines.default_scheme import default_scheme
from tinymed.models.catalog import Checkpoint, find_source


def checkpoint(folder: Path, config: dict[str, Any]) -> Checkpoint:
    (folder / "config.json").write_text(json.dumps(config))
    return Checkpoint(name="a", folder=folder, address=str(folder))


@pytest.mark.parametrize(
    ("config", "problem", "expected"),
    [
        ({"text_config": {"hidden_size": 2048}}, None, "native-int8"),
        ({"text_config": {"hidden_size": 2048}}, "there was no C compiler", "openvino-int8"),
        ({"text_config": {"hidden_size": 2047}}, None, "openvino-int8"),
        ({"text_config": {}}, None, "openvino-int8"),
        ({}, None, "openvino-int8"),
    ],
)
def test_a_wide_checkpoint_runs_natively_where_the_kernel_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    problem: str | None,
    expected: str,
) -> None:
    monkeypatch.setattr(default_scheme_module, "kernel_problem", lambda: problem)
    assert default_scheme(checkpoint(tmp_path, config)).name == expected


def test_a_model_of_ours_runs_in_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_scheme_module, "kernel_problem", lambda: None)
    assert default_scheme(find_source("nano")).name == "openvino-int8"
