"""Every question is counted once, by what became of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from slow_desk import SlowModel, ask, picture, running, until

from tinymed.serve.asked.question import Question
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.refusals import QuestionFailedError
from tinymed.serve.service import Service


def counted(service: Service) -> dict[tuple[str, str], float]:
    """Questions by kind and outcome."""
    families = text_string_to_metric_families(service.metrics.metrics_text().decode())
    return {
        (sample.labels["kind"], sample.labels["outcome"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "tinymed_questions_total"
    }


def test_every_question_is_counted_once_by_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        model = SlowModel(wrong={"is it wrong": RuntimeError()})
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await ask(service, case, "is it")
            await ask(service, case, "right lung")
            model.least_confidence, model.probabilities = 0.5, (0.1, 0.1)
            await ask(service, case, "right lung")
            with pytest.raises(QuestionFailedError):
                await ask(service, case, "is it wrong")
            model.may_step.clear()
            leaving = service.ask(case, Question(text="one two"), user="ada")
            await anext(leaving)
            await leaving.aclose()
            model.may_step.set()
            append = service._recorder._audit.append

            def append_no_answer(*entries: Entry) -> tuple[int, ...]:
                if entries[-1].kind == "answered":
                    raise AuditError("The audit 'a' cannot be written: the disk is full.")
                return append(*entries)

            monkeypatch.setattr(service._recorder._audit, "append", append_no_answer)
            with pytest.raises(AuditError):
                await ask(service, case, "is it")
            await until(lambda: not len(service._background))
            assert counted(service) == {
                ("yes-no", "answered"): 1,
                ("open", "answered"): 1,
                ("open", "withheld"): 1,
                ("unknown", "failed"): 1,
                ("unknown", "stopped"): 1,
                ("yes-no", "failed"): 1,
            }

    asyncio.run(main())
