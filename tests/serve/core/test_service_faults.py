"""What goes wrong stays with the question it went wrong with, and in no log."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest
from slow_desk import JsonDecoder, SlowModel, answer_in, ask, picture, running, until

from tinymed.errors import ConfigError, ImageError, ModelError
from tinymed.serve.asked.events import Queued
from tinymed.serve.asked.question import Question, Verdict
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.cases.pictures import Pictures
from tinymed.serve.metrics import Metrics
from tinymed.serve.refusals import (
    NoMemoryError,
    NotReadyError,
    QuestionFailedError,
    refusal,
)
from tinymed.serve.service import Service
from tinymed.serve.settings import Limits, ServeSettings


class FullDisk:
    """An audit that can be written only while there is room."""

    def __init__(self, audit: AuditLog) -> None:
        self.has_room = True
        self._audit = audit

    def append(self, *entries: Entry) -> tuple[int, ...]:
        if not self.has_room:
            raise AuditError("The audit 'a' cannot be written: the disk is full.")
        return self._audit.append(*entries)

    def close(self) -> None:
        self._audit.close()


class RustPanicError(BaseException):
    """What the tokenizers' Rust code raises is no Exception."""


@pytest.mark.parametrize("where", ["is it", "add one two", "finish one two", "step"])
@pytest.mark.parametrize("error", [RuntimeError("Jane Doe"), RustPanicError("Jane Doe")])
def test_a_defect_fails_one_question_and_the_next_is_answered(
    tmp_path: Path, where: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            model.wrong[where] = error
            with pytest.raises(QuestionFailedError, match="because of a defect") as failed:
                await ask(service, case, "is it" if where == "is it" else "one two")
            assert "Doe" not in str(failed.value)
            assert answer_in(await ask(service, case, "is it")).text == "yes"
            assert case.history[0]["stopped"] is True

    asyncio.run(main())
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert type(error).__name__ in line
    assert "slow_desk.py" in line


def test_a_step_that_fails_frees_every_place(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=2)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            model.may_step.clear()
            both = [asyncio.create_task(ask(service, case, f"{n} two")) for n in ("a", "b")]
            await until(lambda: service._desk.num_waiting() + service._desk.num_running() == 2)
            model.wrong["step"] = RuntimeError()
            model.may_step.set()
            outcomes = await asyncio.gather(*both, return_exceptions=True)
            assert any(isinstance(outcome, QuestionFailedError) for outcome in outcomes)
            assert answer_in(await ask(service, case, "c")).text == "c"
            assert len(model) == 0

    asyncio.run(main())


def test_a_question_that_cannot_be_dropped_keeps_nobody_from_an_answer(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(wrong={"drop one two": RuntimeError()})
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            model.may_step.clear()
            leaving = service.ask(case, Question(text="one two"), user="ada")
            await anext(leaving)
            await until(service._desk.num_running)
            await leaving.aclose()
            model.may_step.set()
            await until(lambda: not model.wrong)
            assert answer_in(await ask(service, case, "after")).text == "after"

    asyncio.run(main())


def test_where_memory_runs_out_caches_go_and_the_next_question_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await ask(service, case, "is it")
            model.wrong["add more"] = MemoryError()
            with pytest.raises(NoMemoryError, match="not enough memory"):
                await ask(service, case, "more")
            assert service._desk.num_read_bytes() == 0
            assert answer_in(await ask(service, case, "more")).text == "more"
            assert len(model.encoded) == 2

    asyncio.run(main())


def test_an_image_that_cannot_be_read_fails_its_questions_alone(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(wrong={"encode": RuntimeError()})
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: not model.wrong)
            assert answer_in(await ask(service, case, "is it")).text == "yes"

    asyncio.run(main())


def test_what_a_user_can_mend_is_told_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(wrong={"add long": ConfigError("The question is too long.")})
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            with pytest.raises(ConfigError, match="too long"):
                await ask(service, case, "long")

    asyncio.run(main())


@pytest.mark.parametrize("text", ["is it", "right lung"])
def test_without_an_audit_no_word_of_an_answer_leaves(tmp_path: Path, text: str) -> None:
    async def main() -> None:
        audit = FullDisk(AuditLog.open(tmp_path / "audit.sqlite"))
        async with running(tmp_path, audit=audit) as service:  # type: ignore[arg-type]
            case = await service.receive(picture(), user="ada")
            audit.has_room = False
            events = service.ask(case, Question(text=text), user="ada")
            assert await anext(events) == Queued(ahead=0)
            with pytest.raises(AuditError, match="disk is full") as refused:
                await anext(events)
            assert refusal(refused.value).status == 503
            assert refusal(refused.value).retry_after_s == 10
            assert service.state == "failed"
            assert service.problem is not None
            assert "disk is full" in service.problem
            assert b"tinymed_audit_failures_total 0.0" not in service.metrics.metrics_text()
            with pytest.raises(AuditError):
                await service.receive(picture("other"), user="ada")
            assert len(service._cases) == 1
            audit.has_room = True
            assert answer_in(await ask(service, case, text)) is not None
            assert service.state == "ready"
            audit.has_room = False
            verdict = Verdict(answer=case.history[-1]["id"], decision="accept")
            with pytest.raises(AuditError):
                await service.judge(case, verdict, user="ada")
            assert case.history[-1]["verdicts"] == []

    asyncio.run(main())


def test_a_question_that_could_not_be_written_down_at_first_is_so_before_its_end(
    tmp_path: Path,
) -> None:
    """The audit had that a question was stopped, and not that it was asked."""

    class FullOnce(FullDisk):
        def append(self, *entries: Entry) -> tuple[int, ...]:
            try:
                return super().append(*entries)
            finally:
                self.has_room = True

    async def main() -> None:
        audit = FullOnce(AuditLog.open(tmp_path / "audit.sqlite"))
        async with running(tmp_path, audit=audit) as service:  # type: ignore[arg-type]
            case = await service.receive(picture(), user="ada")
            audit.has_room = False
            with pytest.raises(AuditError):
                await ask(service, case, "right lung")

    asyncio.run(main())
    connection = open_to_read(tmp_path / "audit.sqlite")
    kinds = [row.kind for row in read_rows(connection)]
    connection.close()
    assert kinds == ["started", "received", "asked", "stopped"]


def test_a_model_that_does_not_load_is_told_in_its_sentence(tmp_path: Path) -> None:
    async def main(error: BaseException, sentence: str) -> None:
        model = SlowModel(wrong={"load": error})
        async with running(tmp_path, model) as service:
            assert service.state == "failed"
            assert service.problem == sentence
            with pytest.raises(NotReadyError, match=r"no model|defect"):
                await service.receive(picture(), user="ada")

    asyncio.run(main(ModelError("There is no model 'x'."), "There is no model 'x'."))
    defect = "The model cannot be loaded because of a defect; the server's log says where."
    asyncio.run(main(RuntimeError("secret"), defect))


def test_while_it_loads_the_service_asks_for_patience(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        model.may_load.clear()
        audit = AuditLog.open(tmp_path / "audit.sqlite")
        service = Service(ServeSettings(), load=model.loaded, decoder=JsonDecoder(), audit=audit)
        await service.start()
        assert (service.state, service.facts, service.problem) == ("loading", None, None)
        with pytest.raises(NotReadyError, match="loading") as refused:
            await service.receive(picture(), user="ada")
        assert refused.value.retry_after_s == 2
        model.may_load.set()
        await until(lambda: service.state == "ready")
        assert service.facts is not None
        assert service.about()["model"] == "tiny"
        await service.close()
        with pytest.raises(NotReadyError, match="ending"):
            await service.receive(picture(), user="ada")

    asyncio.run(main())


def test_draining_lets_answers_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            model.may_step.clear()
            under_way = asyncio.create_task(ask(service, case, "one two"))
            await until(service._desk.num_running)
            draining = asyncio.create_task(service.drain())
            await until(lambda: service.state == "draining")
            with pytest.raises(NotReadyError, match="ending"):
                await ask(service, case, "another")
            assert not draining.done()
            model.may_step.set()
            await draining
            assert answer_in(await under_way).text == "one two"

    asyncio.run(main())


def test_what_does_not_end_in_time_is_stopped_and_written_down(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        settings = ServeSettings(limits=Limits(drain_s=0.01))
        async with running(tmp_path, model, settings=settings) as service:
            case = await service.receive(picture(), user="ada")
            model.may_step.clear()
            under_way = asyncio.create_task(ask(service, case, "one two"))
            await until(service._desk.num_running)
            await service.drain()
            with pytest.raises(NotReadyError):
                await under_way
            assert case.history == [] or case.history[0]["stopped"]
        assert case.history[0]["answer"] is None

    asyncio.run(main())


def test_no_log_line_tells_of_a_patient(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture("doe", words=("jane doe",)), user="nurse-kim")
            await ask(service, case, "is jane ill", own_read="her own read")
            await ask(service, case, "what of doe")
            for where in ("is jane ill", "add what of doe", "finish what of doe", "step"):
                model.wrong[where] = RuntimeError("jane doe")
                with pytest.raises(QuestionFailedError):
                    await ask(service, case, "is jane ill" if "is" in where[:2] else "what of doe")
            with pytest.raises(ImageError):
                await service.receive(b"doe.png", user="nurse-kim")
            verdict = Verdict(
                answer=case.history[0]["id"], decision="edit", text="jane is well", reason="doe"
            )
            await service.judge(case, verdict, user="nurse-kim")
            return case.image_sha256

    caplog.set_level(logging.DEBUG)
    sha256 = asyncio.run(main())
    told = "\n".join(record.getMessage() + str(record.exc_text) for record in caplog.records)
    assert "RuntimeError" in told
    assert "ready after" in told
    for word in ("jane", "doe", "kim", "yes", "own read", "well", sha256[:8]):
        assert word not in told.lower()


def test_a_decoder_that_a_file_killed_is_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, decoder=JsonDecoder()) as service:
            await service.receive(picture(), user="ada")
            with pytest.raises(ImageError):
                await service.receive(b"killer", user="ada")
            assert b"tinymed_decoder_restarts_total 1.0" in service.metrics.metrics_text()

    asyncio.run(main())


def test_a_decoder_that_a_file_killed_is_counted_once_by_all_who_look() -> None:
    class Looked(JsonDecoder):
        """One who looks sees the process before it was killed, and is then kept waiting."""

        def __init__(self) -> None:
            super().__init__()
            self.slow: int | None = None
            self.looks, self.may_go_on = threading.Event(), threading.Event()

        @property
        def process_id(self) -> int | None:
            seen = self.__dict__["process_id"]
            if threading.get_ident() == self.slow:
                self.looks.set()
                self.may_go_on.wait(0.1)
            return seen

        @process_id.setter
        def process_id(self, number: int | None) -> None:
            self.__dict__["process_id"] = number

    metrics, decoder = Metrics(), Looked()
    pictures = Pictures(decoder, metrics)
    pictures._decoded(picture(), None)

    def look_slowly() -> None:
        decoder.slow = threading.get_ident()
        pictures._decoded(picture(), None)

    def kill() -> None:
        with pytest.raises(ImageError):
            pictures._decoded(b"killer", None)
        decoder.may_go_on.set()

    slow, killer = threading.Thread(target=look_slowly), threading.Thread(target=kill)
    slow.start()
    decoder.looks.wait(10)
    killer.start()
    slow.join()
    killer.join()
    pictures._decoded(picture(), None)
    pictures.close()
    assert b"tinymed_decoder_restarts_total 1.0" in metrics.metrics_text()
