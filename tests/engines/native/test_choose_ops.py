from __future__ import annotations

import pytest

from tinymed.engines.native import choose_ops, kernel
from tinymed.engines.native.choose_ops import load_ops
from tinymed.errors import ConfigError


def test_numpy_computes_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(choose_ops.KERNEL_VARIABLE, "plain")
    assert (load_ops(2).name, load_ops(2).num_threads) == ("plain", 2)
    assert capsys.readouterr().err == ""


def test_the_environment_cannot_ask_for_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choose_ops.KERNEL_VARIABLE, "fast")
    with pytest.raises(ConfigError, match="TINYMED_KERNEL is 'fast'; it can be 'plain', or not"):
        load_ops(1)


def test_without_a_kernel_numpy_computes_and_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(choose_ops.KERNEL_VARIABLE, raising=False)
    monkeypatch.setattr(kernel, "kernel_problem", lambda: "there was no C compiler")
    assert load_ops(1).name == "plain"
    (line,) = capsys.readouterr().err.splitlines()
    assert "many times slower than it could: there was no C compiler." in line


@pytest.mark.skipif(kernel.kernel_problem() is not None, reason="needs the kernel")
def test_the_kernel_computes_where_it_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(choose_ops.KERNEL_VARIABLE, raising=False)
    assert (load_ops(2).name, load_ops(2).num_threads) == ("kernel", 2)
    assert capsys.readouterr().err == ""
