"""Images are decoded and read once, kept within bounds, and forgotten."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from slow_desk import (
    BLURRED,
    JsonDecoder,
    SlowModel,
    answer_in,
    ask,
    picture,
    running,
    until,
)

from tinymed.errors import ImageError, UserError
from tinymed.serve.asked.question import Verdict
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.desk.read_images import SHARE_OF_READ_IMAGES
from tinymed.serve.refusals import (
    NoSuchAnswerError,
    NoSuchCaseError,
    NoSuchFrameError,
    TooLargeError,
)
from tinymed.serve.settings import Limits, ServeSettings


def test_an_image_is_read_before_anybody_asks(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            events = await ask(service, case, "is it")
            assert events[-1].timings.encode_ms == 0.0
            assert len(model.encoded) == 1
            assert model.thread_names == {"tinymed-model"}

    asyncio.run(main())


def test_further_questions_pay_neither_encode_nor_image_prefill(tmp_path: Path) -> None:
    async def main() -> None:
        model, decoder = SlowModel(), JsonDecoder()
        async with running(tmp_path, model, decoder=decoder) as service:
            case = await service.receive(picture(), user="ada")
            for text in ("is it", "right lung", "is it so"):
                await ask(service, case, text)
            assert len(model.encoded) == 1
            text = service.metrics.metrics_text().decode()
            assert "tinymed_encodes_total 1.0" in text
            hits = [
                line for line in text.splitlines() if 'prefix_cache_total{result="hit"}' in line
            ]
            assert hits[0].endswith(" 3.0")

    asyncio.run(main())


def test_a_program_that_sends_the_same_file_again_pays_nothing_again(tmp_path: Path) -> None:
    async def main() -> None:
        model, decoder = SlowModel(), JsonDecoder()
        async with running(tmp_path, model, decoder=decoder) as service:
            for _ in range(3):
                case = await service.receive(picture(), user="robot")
                await ask(service, case, "is it")
                await service.close_case(case, keep_read=True)
                with pytest.raises(NoSuchCaseError):
                    service.case(case.id, user="robot")
            assert len(model.encoded) == 1
            assert decoder.frames == [None]

    asyncio.run(main())


def test_a_case_that_is_closed_is_forgotten_with_all_that_was_read(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            other = await service.receive(picture(), user="bo")
            await ask(service, case, "is it")
            await service.close_case(case)
            assert service._desk.num_read_bytes() == 1000
            await service.close_case(other)
            await service.close_case(other)
            assert service._desk.num_read_bytes() == 0
            assert service._cases.num_bytes() == 0
            with pytest.raises(NoSuchCaseError):
                await ask(service, case, "is it")
            again = await service.receive(picture(), user="ada")
            await ask(service, again, "is it")
            assert len(model.encoded) == 2

    asyncio.run(main())


def test_a_case_that_is_closed_while_it_is_read_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            model.may_encode.clear()
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.thread_names)
            await service.close_case(case)
            model.may_encode.set()
            other = await service.receive(picture("other"), user="ada")
            await ask(service, other, "is it")
            assert service._desk.num_read_bytes() == 1000

    asyncio.run(main())


def test_a_case_is_its_users_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            assert service.case(case.id, user="ada") is case
            for user, case_id in (("bo", case.id), ("", case.id), ("ada", "nonesuch")):
                with pytest.raises(NoSuchCaseError):
                    service.case(case_id, user=user)

    asyncio.run(main())


def test_each_frame_is_read_once_and_shown_as_stored(tmp_path: Path) -> None:
    async def main() -> None:
        model, decoder = SlowModel(), JsonDecoder()
        async with running(tmp_path, model, decoder=decoder) as service:
            case = await service.receive(picture(frames=5), user="ada")
            assert (case.num_frames, case.first_frame) == (5, 2)
            for frame in (None, 2, 4, 4):
                await ask(service, case, "is it", frame=frame)
            assert [entry["frame"] for entry in case.history] == [2, 2, 4, 4]
            assert len(model.encoded) == 2
            assert (await service.frame(case, 4)).frame == 4
            assert decoder.frames == [None, 4]
            assert case.alerts == (BLURRED,)
            for frame in (-1, 5):
                with pytest.raises(NoSuchFrameError):
                    await service.frame(case, frame)

    asyncio.run(main())


def test_questions_at_once_about_a_new_frame_decode_it_once(tmp_path: Path) -> None:
    async def main() -> None:
        model, decoder = SlowModel(), JsonDecoder()
        async with running(tmp_path, model, decoder=decoder) as service:
            case = await service.receive(picture(frames=5), user="ada")
            await asyncio.gather(*[ask(service, case, "is it", frame=1) for _ in range(5)])
            assert decoder.frames == [None, 1]
            assert len(model.encoded) == 2

    asyncio.run(main())


def test_files_that_are_no_images_or_too_large_open_no_case(tmp_path: Path) -> None:
    async def main() -> None:
        settings = ServeSettings(limits=Limits(max_upload_bytes=100))
        async with running(tmp_path, settings=settings) as service:
            with pytest.raises(ImageError, match="no image"):
                await service.receive(b"nothing", user="ada")
            with pytest.raises(TooLargeError):
                await service.receive(b"x" * 101, user="ada")
            assert len(service._cases) == 0

    asyncio.run(main())


def test_two_who_send_the_same_file_at_once_share_an_image(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            one, other = await asyncio.gather(
                *[service.receive(picture(), user=user) for user in ("ada", "bo")]
            )
            assert one.image is other.image
            await service.close_case(one)
            await ask(service, other, "is it")
            assert len(model.encoded) == 1

    asyncio.run(main())


def test_one_who_leaves_takes_no_frame_from_one_who_waits_for_it_too(tmp_path: Path) -> None:
    async def main() -> None:
        decoder = JsonDecoder()
        async with running(tmp_path, decoder=decoder) as service:
            case = await service.receive(picture(frames=3), user="ada")
            decoder.may_decode.clear()
            leaving, staying = [
                asyncio.create_task(ask(service, case, "is it", frame=0)) for _ in range(2)
            ]
            await until(lambda: len(decoder.frames) == 2)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            decoder.may_decode.set()
            assert answer_in(await staying).text == "yes"
            assert decoder.frames == [None, 0]

    asyncio.run(main())


def test_a_frame_of_a_case_that_was_closed_meanwhile_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        decoder = JsonDecoder()
        async with running(tmp_path, decoder=decoder) as service:
            case = await service.receive(picture(frames=3), user="ada")
            decoder.may_decode.clear()
            looking = asyncio.create_task(service.frame(case, 0))
            await until(lambda: len(decoder.frames) == 2)
            await service.close_case(case)
            decoder.may_decode.set()
            assert (await looking).frame == 0
            assert case.image.num_bytes() == 0

    asyncio.run(main())


def test_an_image_that_is_kept_no_longer_is_not_called_damaged(tmp_path: Path) -> None:
    """Another's large image had made it go, and its sender was told that it cannot be read."""

    async def main() -> None:
        decoder = JsonDecoder()
        async with running(tmp_path, decoder=decoder) as service:
            case = await service.receive(picture(frames=3), user="ada")
            await service.close_case(case)
            with pytest.raises(NoSuchCaseError, match="Choose the image again"):
                await service.frame(case, 0)
            assert decoder.frames == [None]

    asyncio.run(main())


def test_what_is_made_of_images_makes_others_go_too(tmp_path: Path) -> None:
    """Frames as they are shown, and as the model takes them, count as the file does."""
    shown, prepared, body = 16 * 24 * 5, 8 * 8 * 3 * 4, len(picture(frames=3))

    async def open_cases(num_bytes: int, *, frame: int | None) -> int:
        limits = Limits(max_case_bytes=math.ceil(num_bytes / (1 - SHARE_OF_READ_IMAGES)))
        async with running(tmp_path, settings=ServeSettings(limits=limits)) as service:
            await service.receive(picture("other", frames=3), user="ada")
            case = await service.receive(picture(frames=3), user="ada")
            if frame is not None:
                await ask(service, case, "is it", frame=frame)
            return len(service._cases)

    two = 2 * (shown + prepared + body) + len("other") - len("chest")
    assert asyncio.run(open_cases(two - 1, frame=None)) == 1
    assert asyncio.run(open_cases(two, frame=1)) == 2
    assert asyncio.run(open_cases(two - 1, frame=1)) == 1
    assert asyncio.run(open_cases(two + shown + prepared, frame=0)) == 2
    assert asyncio.run(open_cases(two + shown + prepared - 1, frame=0)) == 1


def test_what_nobody_touches_is_closed_and_freed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    monkeypatch.setattr("tinymed.serve.service.SWEEP_S", 0.001)
    monkeypatch.setattr("tinymed.serve.service.give_back_freed", freed.set)

    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            case.touched_at = -math.inf
            await until(lambda: len(service._cases) == 0 and freed.is_set())

    asyncio.run(main())


def test_a_file_that_is_no_image_is_let_go_of_at_once(tmp_path: Path) -> None:
    """Its error was its own cause, and kept the file until garbage was collected."""

    async def main() -> None:
        async with running(tmp_path) as service:
            gc.collect()
            gc.disable()
            try:
                body = b"no image" * 1000
                num_before = sys.getrefcount(body)
                with suppress(ImageError):
                    await service.receive(body, user="ada")
                # The thread that decoded it may still be about to let go.
                await until(lambda: sys.getrefcount(body) == num_before, seconds=5)
            finally:
                gc.enable()

    asyncio.run(main())


def test_verdicts_on_one_answer_do_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymed.serve.service.MAX_VERDICTS", 2)

    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            await ask(service, case, "is it")
            for number in range(4):
                verdict = Verdict(
                    answer=case.history[0]["id"], decision="accept", reason=f"{number}"
                )
                await service.judge(case, verdict, user="ada")
            assert [row["reason"] for row in case.history[0]["verdicts"]] == ["2", "3"]

    asyncio.run(main())


def test_the_audit_holds_no_name_and_words_only_where_it_may(tmp_path: Path) -> None:
    async def main(folder: Path, *, keep_words: bool) -> str:
        settings = ServeSettings(keep_words=keep_words)
        async with running(folder, settings=settings) as service:
            case = await service.receive(picture(words=("doe^jane", "12345678")), user="ada")
            await ask(service, case, "what of Jane 12345678", own_read="Doe is well")
            verdict = Verdict(
                answer=case.history[0]["id"], decision="edit", text="Jane!", reason="Doe?"
            )
            await service.judge(case, verdict, user="ada")
        connection = open_to_read(folder / "audit.sqlite")
        text = "\n".join(f"{row.kind} {row.body}" for row in read_rows(connection))
        connection.close()
        return text

    for name in ("kept", "hashed"):
        (tmp_path / name).mkdir()
    kept = asyncio.run(main(tmp_path / "kept", keep_words=True))
    hashed = asyncio.run(main(tmp_path / "hashed", keep_words=False))
    for text in (kept, hashed):
        assert "received" in text
        for word in ("jane", "doe", "12345678"):
            assert word not in text.lower()
    assert "what of [struck out]" in kept
    assert "[struck out] is well" in kept
    assert "what of" not in hashed
    assert "is well" not in hashed
    assert "question_sha256" in hashed
    assert "model_text_sha256" in hashed


def test_verdicts_are_checked_and_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            await ask(service, case, "is it")
            answer = case.history[0]["id"]
            with pytest.raises(UserError, match="edit needs"):
                await service.judge(case, Verdict(answer=answer, decision="edit"), user="ada")
            with pytest.raises(UserError, match="rejection needs"):
                await service.judge(case, Verdict(answer=answer, decision="reject"), user="ada")
            with pytest.raises(NoSuchAnswerError):
                await service.judge(case, Verdict(answer="x", decision="accept"), user="ada")
            with pytest.raises(NoSuchCaseError):
                await service.judge(case, Verdict(answer=answer, decision="accept"), user="bo")
            good = Verdict(answer=answer, decision="reject", reason="it is not")
            await service.judge(case, good, user="ada")
            (kept,) = case.history[0]["verdicts"]
            assert (kept["decision"], kept["reason"], kept["user"]) == (
                "reject",
                "it is not",
                "ada",
            )
        connection = open_to_read(tmp_path / "audit.sqlite")
        *_, row = read_rows(connection)
        connection.close()
        assert (row.kind, json.loads(row.body)["answer"]) == ("verdict", answer)

    asyncio.run(main())
