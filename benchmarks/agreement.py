"""How often engines give the reference engine's answer: same prompt, preprocessing, decoding.

Example:
    python benchmarks/agreement.py nano --samples data/vqa-rad/test.jsonl --limit 200
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tinymed.engines.choose import open_engine
from tinymed.images.intake import read_image
from tinymed.images.prepare import prepare
from tinymed.jsonl import read_samples

REFERENCE = "torch"


def main() -> None:
    """Ask every engine the same questions and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200, help="Spread over the whole file.")
    parser.add_argument("--engines", nargs="+", default=["openvino-f32", "openvino"])
    options = parser.parse_args()
    samples = [sample for sample in read_samples(options.samples) if sample.image]
    picked = np.linspace(0, len(samples) - 1, min(options.limit, len(samples))).round().astype(int)
    chosen = [samples[index] for index in picked]
    names = [REFERENCE, *options.engines]
    engines = {name: open_engine(options.model, engine=name) for name in names}
    answers: dict[str, list[str]] = {name: [] for name in names}
    differences: dict[str, float] = dict.fromkeys(options.engines, 0.0)
    for sample in tqdm(chosen, unit="question"):
        assert sample.image is not None
        picture = read_image(sample.image)
        logits = {}
        for name, engine in engines.items():
            encoded = engine.encode(prepare(picture, engine.preprocessing))
            answer = engine.answer(encoded, sample.question, keep_logits=True)
            answers[name].append(answer.text)
            logits[name] = answer.first_token_logits
        for name in options.engines:
            gap = np.abs(logits[name] - logits[REFERENCE]).max() / np.ptp(logits[REFERENCE])
            differences[name] = max(differences[name], float(gap))
    for name in options.engines:
        pairs = list(zip(answers[REFERENCE], answers[name], chosen, strict=True))
        for kind in ("open", "closed"):
            of_kind = [ours == theirs for theirs, ours, s in pairs if s.answer_type == kind]
            print(f"{name}: {sum(of_kind)} of {len(of_kind)} {kind} answers as {REFERENCE}'s")
        same = sum(ours == theirs for theirs, ours, _ in pairs)
        print(
            f"{name}: {same} of {len(pairs)} answers as {REFERENCE}'s ({same / len(pairs):.1%}); "
            f"largest first-token logit difference {differences[name]:.2e} of the range"
        )


if __name__ == "__main__":
    main()
