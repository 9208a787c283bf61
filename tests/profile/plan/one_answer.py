"""Asks about one image file and prints the peak in MiB: `one_answer.py PLACE SCHEME IMAGE`."""

from __future__ import annotations

import sys
from pathlib import Path

from tinymed.engines.choose import open_as_it_is, open_build
from tinymed.engines.protocol import prepared
from tinymed.hardware.memory import peak_memory_mib
from tinymed.images.intake import read_image
from tinymed.models.build import is_build, read_build
from tinymed.models.catalog import find_source
from tinymed.models.schemes import find_scheme

ANSWER_TOKENS = 32

if __name__ == "__main__":
    place, scheme, file = sys.argv[1:]
    if is_build(Path(place)):
        engine = open_build(read_build(Path(place)), threads=2)
    else:
        engine = open_as_it_is(find_source(place), find_scheme(scheme), threads=2)
    image = engine.encode(prepared(engine, read_image(Path(file))))
    answer = engine.answer(image, "Any effusion?", max_new_tokens=ANSWER_TOKENS)
    sys.stdout.write(f"{peak_memory_mib()} {answer.num_tokens}\n")
