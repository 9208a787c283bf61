"""The shipped model behind the service, with all real parts: needs the model's parts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from slow_desk import answer_in, ask, until

from tinymed.serve.asked.events import Answered, Text
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.make_service import make_service
from tinymed.serve.settings import ServeSettings


@pytest.mark.slow
def test_nano_answers_about_a_real_radiograph(tmp_path: Path) -> None:
    path = get_testdata_file("RG1_UNCR.dcm", download=False)
    assert path is not None
    body = Path(path).read_bytes()

    async def main() -> None:
        service = make_service(ServeSettings(threads=1, audit=tmp_path / "audit.sqlite"))
        await service.start()
        try:
            await until(lambda: service.state != "loading", seconds=300)
            assert service.state == "ready", service.problem
            case = await service.receive(body, user="ada")
            await until(lambda: service._desk.num_read_bytes() > 0)
            events = await ask(service, case, "Is the heart enlarged?")
            assert answer_in(events).kind == "yes-no"
            assert isinstance(events[-1], Answered)
            assert events[-1].timings.encode_ms == 0.0
            events = await ask(service, case, "Which organ is in the picture?")
            pieces = [event.piece for event in events if isinstance(event, Text)]
            assert pieces
            both = await asyncio.gather(
                ask(service, case, "What is the modality?", safe=False),
                ask(service, case, "Where is the lesion?", safe=False),
            )
            alone = await ask(service, case, "What is the modality?", safe=False)
            assert answer_in(both[0]).text == answer_in(alone).text
            text = service.metrics.metrics_text().decode()
            assert "tinymed_encodes_total 1.0" in text
        finally:
            await service.close()

    asyncio.run(main())
    connection = open_to_read(tmp_path / "audit.sqlite")
    kinds = [row.kind for row in read_rows(connection)]
    connection.close()
    assert kinds.count("answered") == 5
