"""Reports as files, and `tinymed evaluate report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_up_run import made_up_samples

from tinymed.cli.evaluate.report import report as command
from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.report.content import ReportSettings, read_document
from tinymed.evaluate.report.write import FORMATS, write_report, write_reports
from tinymed.jsonl import write_samples


def call(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(one) for one in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_suffix_tells_the_format(run_folder: Path, tmp_path: Path) -> None:
    settings = ReportSettings(folder=run_folder)
    heads = {
        name: write_report(settings, tmp_path / "new" / name).read_text()[:9]
        for name in ("a.html", "a.htm", "a.md", "a.json")
    }
    assert heads == {
        "a.html": "<!DOCTYPE",
        "a.htm": "<!DOCTYPE",
        "a.md": "# made-up",
        "a.json": '{\n  "noti',
    }


def test_a_format_outweighs_the_suffix(run_folder: Path, tmp_path: Path) -> None:
    settings = ReportSettings(folder=run_folder)
    path = write_report(settings, tmp_path / "page.txt", format_name="markdown")
    assert path.read_text().startswith("# made-up")


def test_an_unknown_suffix_is_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'page\.pdf' does not tell a report's format: end it"):
        write_report(ReportSettings(folder=run_folder), tmp_path / "page.pdf")
    assert not (tmp_path / "page.pdf").exists()


def test_json_is_what_scores_json_holds(run_folder: Path, tmp_path: Path) -> None:
    path = write_report(ReportSettings(folder=run_folder), tmp_path / "a.json")
    assert json.loads(path.read_text()) == json.loads((run_folder / "scores.json").read_text())


def test_a_file_that_cannot_be_written_is_one_sentence(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"Cannot write '.*a\.html': "):
        write_report(ReportSettings(folder=run_folder), tmp_path / "file" / "a.html")
    (run_folder / "report.html").mkdir()
    with pytest.raises(DataError, match=r"Cannot write '.*report\.html': "):
        write_reports(run_folder)


def test_an_unfinished_run_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no scores\.json"):
        write_reports(tmp_path)


def test_a_run_gets_both_reports_and_nothing_else(run_folder: Path) -> None:
    before = set(run_folder.iterdir())
    written = write_reports(run_folder)
    assert set(run_folder.iterdir()) - before == set(written)
    assert [path.name for path in written] == ["report.html", "report.md"]
    first = [path.read_bytes() for path in written]
    write_reports(run_folder)
    assert [path.read_bytes() for path in written] == first


def test_without_images_a_run_folders_page_holds_none(run_folder: Path) -> None:
    page, _ = write_reports(run_folder, with_images=False)
    assert "data:image" not in page.read_text()


def test_samples_beside_the_folder_must_be_those_of_the_run(
    run_folder: Path, tmp_path: Path
) -> None:
    (run_folder / "samples.jsonl").unlink()
    for name in ("predictions.jsonl", "predictions-blank.jsonl"):
        lines = (run_folder / name).read_text().splitlines(keepends=True)
        (run_folder / name).write_text("".join(lines[:4]))
    settings = ReportSettings(folder=run_folder)
    assert "the run folder holds no samples.jsonl; name them with --samples" in FORMATS["html"](
        settings
    )
    samples = tmp_path / "test.jsonl"
    write_samples(samples, made_up_samples(tmp_path)[:4])
    shown = read_document(ReportSettings(folder=run_folder, samples=samples))
    assert "Is there a mass?" in str(shown)
    write_samples(samples, made_up_samples(tmp_path)[:3])
    with pytest.raises(DataError, match=r"does not hold the samples of .* \(sha256 "):
        read_document(ReportSettings(folder=run_folder, samples=samples))


def test_only_the_first_samples_are_taken_where_the_run_took_them(
    run_folder: Path, tmp_path: Path
) -> None:
    scores = json.loads((run_folder / "scores.json").read_text())
    scores["run"]["limit"] = 2
    (run_folder / "scores.json").write_text(json.dumps(scores))
    (run_folder / "predictions-blank.jsonl").unlink()
    predictions = (run_folder / "predictions.jsonl").read_text().splitlines(keepends=True)
    (run_folder / "predictions.jsonl").write_text("".join(predictions[:2]))
    write_samples(tmp_path / "test.jsonl", made_up_samples(tmp_path)[:4])
    settings = ReportSettings(folder=run_folder, samples=tmp_path / "test.jsonl")
    assert "Only the first 2 samples were asked." in FORMATS["html"](settings)
    assert read_document(settings).facts["questions"] == "200, the first of the file only"


def test_without_answers_the_errors_are_not_shown(run_folder: Path) -> None:
    (run_folder / "predictions.jsonl").unlink()
    page = FORMATS["html"](ReportSettings(folder=run_folder))
    assert "Not shown: the run folder holds no predictions.jsonl." in page


def test_a_model_without_errors_is_said_to_have_none(run_folder: Path) -> None:
    lines = [json.dumps({"id": str(number), "text": "yes"}) for number in range(5)]
    (run_folder / "predictions.jsonl").write_text("\n".join(lines))
    assert "No answer is wrong." in FORMATS["html"](ReportSettings(folder=run_folder))


@pytest.mark.parametrize("option", ["audit", "judge"])
def test_an_unfinished_audit_or_judge_is_refused(
    option: str, run_folder: Path, tmp_path: Path
) -> None:
    settings = ReportSettings(folder=run_folder, **{option: tmp_path})
    with pytest.raises(DataError, match=rf"holds no {option}\.json; .*evaluate {option}"):
        read_document(settings)
    path = tmp_path / f"{option}.json"
    path.write_text("[1]")
    with pytest.raises(DataError, match="is not a JSON object"):
        read_document(settings)
    path.write_text("{")
    with pytest.raises(DataError, match="Cannot read"):
        read_document(settings)


def test_the_command_writes_into_the_run_folder_unless_told(
    run_folder: Path, tmp_path: Path
) -> None:
    assert call(run_folder) == f"{run_folder / 'report.html'}\n"
    assert call(run_folder, "--format", "markdown") == f"{run_folder / 'report.md'}\n"
    out = tmp_path / "a.html"
    assert json.loads(call(run_folder, "--out", out, "--json")) == {"report": str(out)}
    assert "data:image" in out.read_text()


def test_the_command_takes_audit_and_judge_and_leaves_images_out(
    run_folder: Path, audit_folder: Path, judge_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.html"
    beside = ("--audit", audit_folder, "--judge", judge_folder)
    call(run_folder, "--out", out, *beside, "--no-images")
    page = out.read_text()
    assert "Reliability diagram" in page
    assert "By a judge" in page
    assert "data:image" not in page


def test_the_help_warns_of_patients_images_and_ends_with_an_example() -> None:
    text = " ".join(call("--help").split())
    assert "with images of patients in it, pass it on only where you may pass those on" in text
    assert "tinymed evaluate report runs/nano --out nano.html" in text
