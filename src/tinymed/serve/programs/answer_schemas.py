"""What the server answers, as JSON Schema."""

from __future__ import annotations

from typing import Any, get_args

from tinymed.safe.gate import AlertCode, GateName, Mode
from tinymed.safe.safe_answer import Finding, QuestionKind

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
YES_NO: Schema = {"type": "boolean"}


def record(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def list_of(items: Schema) -> Schema:
    """An array of one kind of item."""
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    """A value or nothing."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(words: Any) -> Schema:
    """One of a Literal's words."""
    return {"type": "string", "enum": list(get_args(words))}


def named(name: str) -> Schema:
    """A schema of SCHEMAS, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Schema] = {
    "Error": record(error=record(message=TEXT, code=TEXT)),
    "OpenAIError": record(
        error=record(message=TEXT, type=TEXT, param=or_null(TEXT), code=or_null(TEXT))
    ),
    "OllamaError": record(error=TEXT),
    "Alert": record(
        code=one_of(AlertCode),
        gate=or_null(one_of(GateName)),
        withholds=YES_NO,
        detail=TEXT,
        figures={"type": "object", "additionalProperties": NUMBER},
    ),
    "GateOutcome": record(
        gate=one_of(GateName),
        mode=one_of(Mode),
        outcome={"enum": ["passed", "warned", "withheld", "not-applicable"]},
        why=TEXT,
    ),
    "Calibrated": record(probability=SHARE, num_samples=COUNT, split=TEXT),
    "SafeAnswer": record(
        question=TEXT,
        kind=one_of(QuestionKind),
        text=TEXT,
        is_withheld=YES_NO,
        finding=or_null(one_of(Finding)),
        confidence=or_null(SHARE),
        calibrated=or_null(named("Calibrated")),
        alerts=list_of(named("Alert")),
        gates=list_of(named("GateOutcome")),
        finish_reason={"enum": ["stop", "length"]},
        notice=TEXT,
    ),
    "HistoryEntry": {
        "type": "object",
        "required": ["id", "asked_at", "question", "frame", "answer", "verdicts"],
        "properties": {
            "id": TEXT,
            "asked_at": TEXT,
            "question": TEXT,
            "frame": COUNT,
            "own_read": TEXT,
            "answer": or_null(named("SafeAnswer")),
            "stopped": YES_NO,
            "verdicts": list_of(
                record(decision={"enum": ["accept", "reject", "edit"]}, reason=TEXT, text=TEXT)
            ),
        },
    },
    "Case": record(
        case=TEXT,
        image={
            "type": "object",
            "required": ["sha256", "source", "width", "height", "num_frames", "frame", "notes"],
            "properties": {
                "sha256": TEXT,
                "source": {"enum": ["dicom", "png", "jpeg"]},
                "width": COUNT,
                "height": COUNT,
                "num_frames": COUNT,
                "frame": COUNT,
                "notes": list_of(TEXT),
                "modality": or_null(TEXT),
                "body_part": or_null(TEXT),
            },
        },
        alerts=list_of(named("Alert")),
        history=list_of(named("HistoryEntry")),
    ),
    "About": {
        "description": "What a safe answer says beyond its text.",
        **record(
            id=TEXT,
            notice=TEXT,
            kind=one_of(QuestionKind),
            is_withheld=YES_NO,
            finding=or_null(one_of(Finding)),
            confidence=or_null(SHARE),
            calibrated=or_null(named("Calibrated")),
            alerts=list_of(named("Alert")),
            gates=list_of(named("GateOutcome")),
            not_used=list_of(TEXT),
        ),
    },
    "Model": record(id=TEXT, object={"const": "model"}, created={"type": "integer"}, owned_by=TEXT),
    "ModelList": record(object={"const": "list"}, data=list_of(named("Model"))),
    "ChatCompletion": record(
        id=TEXT,
        object={"const": "chat.completion"},
        created={"type": "integer"},
        model=TEXT,
        choices=list_of(
            record(
                index=COUNT,
                message=record(role={"const": "assistant"}, content=TEXT),
                finish_reason={"enum": ["stop", "length"]},
                logprobs=or_null({"type": "object"}),
            )
        ),
        usage=record(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT),
        tinymed=named("About"),
    ),
    "OllamaChat": {
        "type": "object",
        "required": ["model", "created_at", "message", "done"],
        "properties": {
            "model": TEXT,
            "created_at": TEXT,
            "message": record(role={"const": "assistant"}, content=TEXT),
            "done": YES_NO,
            "done_reason": TEXT,
            "tinymed": named("About"),
        },
    },
    "OllamaTags": record(models=list_of(record(name=TEXT, model=TEXT, digest=TEXT))),
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": ["ready", "loading", "failed", "draining"]}},
    },
}
