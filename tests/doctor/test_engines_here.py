"""Engines and extras: what is here, and the exact command for what is not."""

from __future__ import annotations

import sys
import tomllib
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tinymed.doctor import engines, extras_here
from tinymed.doctor.engines import examine_engines
from tinymed.doctor.extras_here import PURPOSES, examine_extras, missing_packages, requirement_on
from tinymed.doctor.ingredient import Ingredient
from tinymed.models.schemes import SCHEMES

LISTED = [
    "openvino-tokenizers==9",
    "openvino==1.2",
    "torch==2.0; extra == 'torch'",
    'bits>=1,<2; python_version > "3" and extra == "bitsandbytes"',
    "tinymed[torch,judge]; extra == 'bitsandbytes'",
    "openai==3; extra == 'judge'",
]


def named(rows: tuple[Ingredient, ...], name: str) -> Ingredient:
    (found,) = (row for row in rows if row.name == name)
    return found


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that are as if they were not installed."""
    gone: set[str] = set()

    def look_up(package: str) -> str:
        if package in gone:
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(extras_here, "version", look_up)
    return gone


def test_every_engine_of_the_schemes_is_examined() -> None:
    assert {scheme.engine for scheme in SCHEMES.values()} <= {row.name for row in examine_engines()}


def test_every_extra_is_examined_here_or_with_the_engines() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"test", "check"}
    assert extras == set(PURPOSES) | {"torch", "gguf", "bitsandbytes"}


@pytest.mark.parametrize(
    ("package", "engine", "extra"),
    [
        ("xllamacpp", "llamacpp", "gguf"),
        ("onnx", "torch", "torch"),
        ("bitsandbytes", "bitsandbytes", "bitsandbytes"),
    ],
)
def test_a_missing_engine_is_named_with_its_command(
    without: set[str], package: str, engine: str, extra: str
) -> None:
    assert named(examine_engines(), engine).get is None
    without.add(package)
    row = named(examine_engines(), engine)
    assert (row.is_here, row.get) == (False, f"pip install 'tinymed[{extra}]'")


def test_bitsandbytes_needs_torch_as_well(without: set[str]) -> None:
    without.add("transformers")
    row = named(examine_engines(), "bitsandbytes")
    assert (row.is_here, row.note) == (False, "missing: transformers")


def test_another_llama_cpp_than_ours_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "installed_version", lambda _package: "2020.1.1")
    row = named(examine_engines(), "llamacpp")
    assert not row.is_here
    assert row.note is not None
    assert row.note.startswith("2020.1.1 is installed; 20")
    assert row.get == "pip install 'tinymed[gguf]'"


def test_an_openvino_that_does_not_load_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(examine_engines(), "openvino").is_here
    monkeypatch.setitem(sys.modules, "openvino", None)
    row = named(examine_engines(), "openvino")
    assert not row.is_here
    assert row.get == f"pip install --force-reinstall '{requirement_on('openvino')}'"
    assert "==" in row.get


def test_a_missing_kernel_says_what_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "kernel_problem", lambda: "no C compiler")
    monkeypatch.setattr(engines.shutil, "which", lambda name: f"/bin/{name}")
    row = named(examine_engines(), "native")
    assert not row.is_here
    assert row.get == "pip install --force-reinstall --no-deps --no-binary tinymed tinymed"
    for tool, command in (
        ("apt-get", "sudo apt-get install gcc python3-dev && pip install --force-"),
        ("dnf", "sudo dnf install gcc python3-devel && pip install --force-"),
        ("xcode-select", "xcode-select --install && pip install --force-"),
        ("none", "pip install --force-"),
    ):
        monkeypatch.setattr(engines.shutil, "which", lambda name, here=tool: name == here or None)
        get = named(examine_engines(), "native").get
        assert get is not None
        assert get.startswith(command)


def test_a_kernel_that_the_environment_keeps_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "kernel_problem", lambda: None)
    monkeypatch.setattr(engines, "kernel_kinds", lambda: ["AVX2", "plain"])
    monkeypatch.delenv("TINYMED_KERNEL", raising=False)
    assert named(examine_engines(), "native").note == "compiled; runs its AVX2 code here"
    monkeypatch.setenv("TINYMED_KERNEL", "plain")
    note = named(examine_engines(), "native").note
    assert note is not None
    assert note.endswith("TINYMED_KERNEL=plain keeps it out: unset it")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cuda: Optional[str] = '13.0'", "built for CUDA 13.0"),
        ("cuda = None", "built without CUDA: no GPU"),
    ],
)
def test_whether_torch_knows_gpus_is_read_without_loading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    (tmp_path / "version.py").write_text(f"__version__ = '2'\n{line}\n")
    spec = ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(engines, "find_spec", lambda _name: spec)
    assert named(examine_engines(), "torch").note == told


def test_packages_of_an_extra_are_those_that_our_metadata_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras_here, "requires", lambda _package: LISTED)
    monkeypatch.setattr(extras_here, "installed_version", lambda name: name == "torch" or None)
    assert missing_packages("torch") == ()
    assert missing_packages("judge") == ("openai",)
    assert missing_packages("bitsandbytes") == ("bits", "openai")
    assert missing_packages("parquet") == ()
    assert requirement_on("openvino") == "openvino==1.2"
    assert requirement_on("elsewhere") == "elsewhere"


def test_a_missing_extra_is_named_with_its_command(without: set[str]) -> None:
    assert all(row.is_here and row.get is None for row in examine_extras())
    without |= {"openai", "rouge-score"}
    rows = examine_extras()
    assert [row.name for row in rows if not row.is_here] == ["text-metrics", "judge"]
    judge = named(rows, "judge")
    assert (judge.note, judge.get) == ("missing: openai", "pip install 'tinymed[judge]'")
