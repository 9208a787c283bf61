"""Quality meets cost by the digest of the weights and the scheme, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_profile import (
    OTHER,
    SLAKE_VALIDATION,
    VQA_RAD_TEST,
    digest,
    made_up_point,
    write_evaluation,
    write_profile,
)

from tinymed.errors import DataError
from tinymed.profile.pareto.folders import SampleSet, read_folders
from tinymed.profile.pareto.join import SampleFront, join, named_points


def joined(*folders: Path) -> list[SampleFront]:
    return join(read_folders(folders))


def names(front: SampleFront) -> tuple[list[str], list[str], list[str]]:
    return (
        [pair.measured.name for pair in front.pairs],
        [one.name for one in front.without_cost],
        [one.name for one in front.without_quality],
    )


def test_the_same_weights_in_the_same_scheme_meet(tmp_path: Path) -> None:
    points = [made_up_point("native-int8"), made_up_point("nf4")]
    profile = write_profile(tmp_path / "profile", points)
    one = write_evaluation(tmp_path / "one", "native-int8", 0.7)
    other = write_evaluation(tmp_path / "other", "gguf-q8_0", 0.7)
    (front,) = joined(profile, one, other)
    assert names(front) == (["nano:native-int8"], ["nano:gguf-q8_0"], ["nano:nf4"])


def test_a_name_without_the_weights_is_not_enough(tmp_path: Path) -> None:
    point = made_up_point("nf4", weights_sha256="0" * 64)
    profile = write_profile(tmp_path / "profile", [point])
    (front,) = joined(profile, write_evaluation(tmp_path / "one", "nf4", 0.7))
    assert names(front) == ([], ["nano:nf4"], ["nano:nf4"])


def test_weights_without_the_scheme_are_not_enough(tmp_path: Path) -> None:
    """Schemes that run the published files have the files' digest, whatever the scheme."""
    point = made_up_point("torch-f32", weights_sha256=digest("nano", "nf4"))
    profile = write_profile(tmp_path / "profile", [point])
    (front,) = joined(profile, write_evaluation(tmp_path / "one", "nf4", 0.7))
    assert names(front) == ([], ["nano:nf4"], ["nano:torch-f32"])


def test_random_weights_have_no_quality(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "profile", [made_up_point("nf4", is_random=True)])
    (front,) = joined(profile, write_evaluation(tmp_path / "one", "nf4", 0.7))
    assert names(front) == ([], ["nano:nf4"], ["nano:nf4"])


def test_sets_of_samples_are_never_mixed(tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "profile", [made_up_point("nf4")])
    rad = write_evaluation(tmp_path / "rad", "nf4", 0.7)
    slake = write_evaluation(tmp_path / "slake", "nf4", 0.8, sha256=SLAKE_VALIDATION)
    some = write_evaluation(tmp_path / "some", "nf4", 0.9, limit=20)
    fronts = joined(profile, rad, slake, some)
    assert [front.samples.name for front in fronts] == [
        "vqa-rad-test",
        "slake-validation",
        "vqa-rad-test-first-20",
    ]
    assert [len(front.pairs) for front in fronts] == [1, 1, 1]
    assert fronts[2].samples.known is None


def test_the_same_samples_in_another_file_are_the_same(tmp_path: Path) -> None:
    one = write_evaluation(tmp_path / "one", "nf4", 0.7)
    other = write_evaluation(tmp_path / "other", "int8", 0.7, samples="mine.jsonl")
    (front,) = joined(one, other)
    assert len(front.without_cost) == 2


def test_one_evaluation_twice_counts_once_and_two_different_ones_are_refused(
    tmp_path: Path,
) -> None:
    one = write_evaluation(tmp_path / "one", "nf4", 0.7)
    same = write_evaluation(tmp_path / "same", "nf4", 0.7)
    (front,) = joined(one, same)
    assert len(front.without_cost) == 1
    other = write_evaluation(tmp_path / "other", "nf4", 0.71)
    with pytest.raises(DataError, match="different scores: name one of them"):
        joined(one, other)


def test_points_of_one_name_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    quick = made_up_point("nf4", threads=1)
    folders = read_folders(
        [
            write_profile(tmp_path / "a", [made_up_point("nf4"), made_up_point("int8")]),
            write_profile(tmp_path / "b", [quick]),
            write_profile(tmp_path / "c", [made_up_point("nf4")]),
        ]
    )
    assert [one.name for one in named_points(folders)] == [
        "nano:nf4, a",
        "nano:int8",
        "nano:nf4, cpu, 1 threads",
        "nano:nf4, c",
    ]


def test_one_point_twice_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = write_profile(tmp_path / "a", [made_up_point("nf4"), made_up_point("nf4")])
    with pytest.raises(DataError, match="Two points are called 'nano:nf4"):
        named_points(read_folders([folder]))


def test_samples_have_a_name_and_a_title() -> None:
    rad = SampleSet(file="test.jsonl", sha256=VQA_RAD_TEST, limit=None)
    own = SampleSet(file="mine.jsonl", sha256=OTHER, limit=5)
    assert (rad.name, rad.title) == ("vqa-rad-test", "VQA-RAD, test")
    assert own.name == "mine-ffffffff-first-5"
    assert own.title == "mine.jsonl (sha256 ffffffff), first 5 questions"


def test_a_folder_of_neither_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither profile\.json nor scores\.json"):
        joined(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"points": [{"model": 1}]}', '{"points": 1}'])
def test_a_damaged_profile_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "profile.json").write_text(text)
    with pytest.raises(DataError, match=r"profile\.json"):
        joined(tmp_path)


@pytest.mark.parametrize("gone", ["model", "weights_sha256", "samples_sha256", "limit"])
def test_an_evaluation_that_does_not_say_what_it_is_of_is_refused(
    tmp_path: Path, gone: str
) -> None:
    folder = write_evaluation(tmp_path / "one", "nf4", 0.7)
    path = folder / "scores.json"
    found = json.loads(path.read_text())
    del found["run"][gone]
    path.write_text(json.dumps(found))
    with pytest.raises(DataError, match="does not say which build answered which samples"):
        joined(folder)
