"""The engines: which are here and can start, and what gets the others."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tinymed.doctor.extras_here import installed_version, missing_packages, requirement_on
from tinymed.doctor.ingredient import Ingredient
from tinymed.engines.native.choose_ops import KERNEL_VARIABLE
from tinymed.engines.native.kernel import kernel_kinds, kernel_problem

_COMPILE_AGAIN = "pip install --force-reinstall --no-deps --no-binary tinymed tinymed"
_COMPILERS = ("cc", "gcc", "clang")
_INSTALLERS = {
    "apt-get": "sudo apt-get install gcc python3-dev",
    "dnf": "sudo dnf install gcc python3-devel",
    "xcode-select": "xcode-select --install",
}


def examine_engines() -> tuple[Ingredient, ...]:
    """Every engine, in the order in which a machine without a GPU would choose it.

    OpenVINO and the kernel are loaded; torch is not, because that takes seconds.
    """
    return (_openvino(), _native(), _llamacpp(), _torch(), _bitsandbytes())


def _openvino() -> Ingredient:
    name, purpose = "openvino", "any processor; the default of small models"
    try:
        import openvino  # noqa: F401 - whether it can be loaded
    except ImportError as error:
        note = f"it cannot be loaded: {error}"
        get = f"pip install --force-reinstall '{requirement_on('openvino')}'"
        return Ingredient(name=name, purpose=purpose, is_here=False, note=note, get=get)
    return Ingredient(name=name, purpose=purpose, is_here=True, version=version("openvino"))


def _native() -> Ingredient:
    name, purpose = "native", "our kernel; the default of large models"
    problem = kernel_problem()
    if problem is None:
        note = f"compiled; runs its {kernel_kinds()[0]} code here"
        if os.environ.get(KERNEL_VARIABLE) == "plain":
            note += f", but {KERNEL_VARIABLE}=plain keeps it out: unset it"
        return Ingredient(name=name, purpose=purpose, is_here=True, note=note)
    note = f"{problem}; NumPy computes the same, many times slower"
    get = " && ".join((*_compiler_commands(), _COMPILE_AGAIN))
    return Ingredient(name=name, purpose=purpose, is_here=False, note=note, get=get)


def _compiler_commands() -> tuple[str, ...]:
    """What installs a C compiler; nothing where there is one, or where we know no installer."""
    if not any(map(shutil.which, _COMPILERS)):
        for installer, command in _INSTALLERS.items():
            if shutil.which(installer):
                return (command,)
    return ()


def _llamacpp() -> Ingredient:
    from tinymed.engines.llamacpp.library import PACKAGE, VERSION

    found = installed_version(PACKAGE)
    is_here = found == VERSION
    note = None if found is None or is_here else f"{found} is installed; {VERSION} is needed"
    return Ingredient(
        name="llamacpp",
        purpose="GGUF files",
        is_here=is_here,
        version=found,
        note=note,
        get=None if is_here else "pip install 'tinymed[gguf]'",
    )


def _torch() -> Ingredient:
    missing = missing_packages("torch")
    return Ingredient(
        name="torch",
        purpose="training, the reference, GPUs",
        is_here=not missing,
        version=installed_version("torch"),
        note=f"missing: {', '.join(missing)}" if missing else _torch_build(),
        get="pip install 'tinymed[torch]'" if missing else None,
    )


def _torch_build() -> str:
    """Whether torch was built for CUDA, read from its version file: importing takes seconds."""
    spec = find_spec("torch")
    path = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = path.read_text(encoding="utf-8") if path and path.is_file() else ""
    found = re.search(r"^cuda[^=]*= *'([\d.]+)'", text, re.MULTILINE)
    return f"built for CUDA {found[1]}" if found else "built without CUDA: no GPU"


def _bitsandbytes() -> Ingredient:
    missing = missing_packages("bitsandbytes")
    return Ingredient(
        name="bitsandbytes",
        purpose="schemes nf4 and int8, in torch",
        is_here=not missing,
        version=installed_version("bitsandbytes"),
        note=f"missing: {', '.join(missing)}" if missing else None,
        get="pip install 'tinymed[bitsandbytes]'" if missing else None,
    )
