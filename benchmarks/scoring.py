"""How long 100,000 answers take under every metric, with intervals and peak memory.

    python benchmarks/scoring.py [--samples 100000] [--groups 20000]

Peer, in the same run: `scipy.stats.bootstrap`, 2,000 resamples of the mean of one metric
of the same answers, item by item (it knows no groups). The answers are made up from a few
hundred words: from one word to three sentences, a third of them right, every text its own.
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from tinymed.hardware.memory import peak_memory_mib

# ruff: noqa: SIM905  # a text is easier to read than a list of seventy strings
SHARE_CLOSED = 0.45
WORDS = """
    left right upper lower lobe lung liver kidney spleen heart brain chest abdomen mass
    nodule effusion fracture normal abnormal enlarged small large opacity lesion contrast
    axial coronal sagittal plane image shows there is are no evidence of the a an in with
    without and or scan x-ray ct mri t1 t2 weighted pleural cardiac vascular soft tissue
    bone air fluid bilateral diffuse focal calcified dense lucent 3.5 cm 1,000 two three
    artery vein cyst
""".split()


def sentence(source: random.Random, *, longest: int) -> str:
    """A few words in no order, now and then with a mark."""
    chosen = source.choices(WORDS, k=source.randint(1, longest))
    text = " ".join(chosen)
    return text.capitalize() + source.choice((".", "", "?", ", likely.", " (probable)"))


def write_files(folder: Path, *, num_samples: int, num_groups: int) -> None:
    """Write samples.jsonl, predictions.jsonl and candidates.json."""
    source = random.Random(0)  # noqa: S311 - nothing is kept secret
    samples, predictions = [], []
    for number in range(num_samples):
        is_closed = source.random() < SHARE_CLOSED
        reference = source.choice(("yes", "no")) if is_closed else sentence(source, longest=6)
        right = source.random() < 1 / 3
        answer = reference if right else sentence(source, longest=source.choice((2, 8, 40)))
        samples.append(
            {
                "id": str(number),
                "question": f"Is there {sentence(source, longest=8)}?",
                "reference": reference,
                "answer_type": "closed" if is_closed else "open",
                "group": str(source.randrange(num_groups)),
                "modality": source.choice(("CT", "MRI", "X-Ray", "US")),
                "body_part": source.choice(("Head", "Chest", "Abdomen", "Pelvis", "Neck")),
                "question_type": f"type {source.randrange(12)}",
            }
        )
        predictions.append({"id": str(number), "text": answer, "confidence": source.random()})
    for name, rows in (("samples", samples), ("predictions", predictions)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    candidates = [sentence(source, longest=4) for _ in range(500)]
    (folder / "candidates.json").write_text(json.dumps(candidates), encoding="utf-8")


def score_once(folder: Path) -> tuple[float, float, int]:
    """Seconds, MiB and number of scores of one whole `tinymed evaluate score`."""
    command = [
        sys.executable,
        __file__,
        "--inside",
        "evaluate",
        "score",
        "--samples",
        str(folder / "samples.jsonl"),
        "--predictions",
        str(folder / "predictions.jsonl"),
        "--candidates",
        str(folder / "candidates.json"),
        "--json",
    ]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    found = json.loads(done.stdout)
    num_scores = sum(map(len, [found["scores"], *found["controls"].values()]))
    return seconds, float(done.stderr.rsplit("peak ", 1)[1]), num_scores


def peer_seconds(num_samples: int) -> float:
    """Seconds of scipy's interval of one mean."""
    values = np.random.default_rng(0).integers(2, size=num_samples).astype(float)
    start = time.perf_counter()
    bootstrap((values,), np.mean, n_resamples=2000, batch=20, method="percentile", rng=0)
    return time.perf_counter() - start


def run_inside() -> None:
    """Be `tinymed`, and say the peak memory at the end."""
    from tinymed.cli import tinymed

    tinymed(sys.argv[2:], standalone_mode=False)
    sys.stderr.write(f"peak {peak_memory_mib()}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, num_samples=arguments.samples, num_groups=arguments.groups)
        ours, memory, peer, num_scores = [], [], [], 0
        for _ in range(arguments.rounds):
            seconds, mib, num_scores = score_once(folder)
            ours.append(seconds)
            memory.append(mib)
            peer.append(peer_seconds(arguments.samples))
    print(f"{arguments.samples} answers, {arguments.groups} groups, {arguments.rounds} rounds")
    for label, values, unit in (
        ("tinymed evaluate score", ours, "s"),
        ("its peak memory", memory, "MiB"),
        ("scipy.stats.bootstrap, one metric", peer, "s"),
    ):
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{label}: median {np.median(values):.1f} {unit} ({spread})")
    each = np.median(ours) / num_scores
    print(
        f"{num_scores} scores: {each:.3f} s each, {each / np.median(peer):.2f} of the peer's time"
    )


if __name__ == "__main__":
    run_inside() if sys.argv[1:2] == ["--inside"] else main()
