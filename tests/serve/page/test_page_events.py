"""Server-sent events are read whatever the pieces are that they come in."""

from __future__ import annotations

import json

from playwright.sync_api import Page

STREAM = (
    'event: queued\ndata: {"ahead":2}\n\n: wait\n\nevent: text\r\ndata: {"piece":"é\\n: x"}\r\n\r\n'
    "data: one\ndata:two\n\nevent: nothing\n\nevent: withdrawn\ndata: {}\n\nevent: text\ndata: cut"
)
EVENTS = [
    {"name": "queued", "data": '{"ahead":2}'},
    {"name": "text", "data": '{"piece":"é\\n: x"}'},
    {"name": "message", "data": "one\ntwo"},
    {"name": "withdrawn", "data": "{}"},
]


def test_a_stream_is_read_alike_wherever_it_is_cut(window: Page) -> None:
    found = window.evaluate(
        """async (stream) => {
            const { EventParser } = await import("/page/events.js");
            const read = (pieces) => {
                const parser = new EventParser();
                return JSON.stringify(pieces.flatMap((piece) => parser.push(piece)));
            };
            const cuts = Array.from(stream, (_, at) => [stream.slice(0, at), stream.slice(at)]);
            return [...new Set([read([stream]), read(Array.from(stream)), ...cuts.map(read)])];
        }""",
        STREAM,
    )
    assert [json.loads(events) for events in found] == [EVENTS]
