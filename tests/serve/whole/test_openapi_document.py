"""The real server keeps what its OpenAPI document promises: schemathesis asks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from real_server import RealServer
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tinymed.serve.access.access import Access
from tinymed.serve.app import build_app
from tinymed.serve.guard.refused import RefusedError, answer_of
from tinymed.serve.programs.answer_schemas import SCHEMAS
from tinymed.serve.programs.openapi import document
from tinymed.serve.settings import Limits, ServeSettings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
TIMEOUT_S = 60
"""For an answer: schemathesis' own 10 s are too few for a first PDF on a busy machine."""
DOCUMENT = document(Limits())
OPERATIONS = [
    (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method != "parameters"
]


def ask_much(server: RealServer, data: bytes, method: str, path: str, num_examples: int) -> None:
    """Send requests that the document allows, and such as it does not."""
    case_id = server.open_case(data)["case"]
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]

    @settings(
        max_examples=num_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        if "case" in case.path_parameters:  # a made-up one would be all that is ever tried
            case.path_parameters["case"] = case_id
        case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=TIMEOUT_S)

    ask()


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_a_few_requests_get_only_what_is_promised(
    server: RealServer, chest: bytes, method: str, path: str
) -> None:
    ask_much(server, chest, method, path, num_examples=3)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_many_requests_get_only_what_is_promised(
    server: RealServer, chest: bytes, method: str, path: str
) -> None:
    ask_much(server, chest, method, path, num_examples=50)


def test_the_document_names_every_route() -> None:
    class Unasked:
        """A service of which no route is called."""

        settings = ServeSettings()

        def __getattr__(self, name: str) -> object:
            return None

    app = build_app(Unasked(), ServeSettings(), Access())  # type: ignore[arg-type]
    routed = {
        (method, re.sub(r"{(\w+)(:\w+)?}", "{}", route.path))  # type: ignore[attr-defined]
        for route in app.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    of_the_page = {path for _, path in routed if path == "/" or path.startswith("/page/")}
    named = {(method, re.sub(r"{\w+}", "{}", path)) for method, path in OPERATIONS}
    assert {(method, path) for method, path in routed if path not in of_the_page} == named


def test_the_server_gives_the_document(server: RealServer) -> None:
    with server.client() as client:
        assert client.get("/openapi.json").json() == DOCUMENT


def test_the_document_tells_the_limits_in_force() -> None:
    """It said 10,000 characters where 2,000 were taken."""
    few = document(Limits(max_question_characters=7, max_new_tokens=11))
    paths = few["paths"]
    lengths = {
        name: schema["maxLength"]
        for path in ("/api/cases/{case}/questions", "/api/cases/{case}/verdicts")
        for name, schema in _fields(paths[path]["post"]).items()
        if "maxLength" in schema
    }
    assert lengths == dict.fromkeys(("question", "own_read", "reason", "text"), 7)
    for path in ("/v1/chat/completions", "/api/chat"):
        assert "at most 7 characters" in paths[path]["post"]["description"]
        assert "at most 11 tokens" in paths[path]["post"]["description"]


def _fields(operation: dict[str, Any]) -> dict[str, Any]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is False
    fields: dict[str, Any] = schema["properties"]
    return fields


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_refusals_have_the_shape_that_is_promised(method: str, path: str) -> None:
    """Of a server that is loading: schemathesis asks one that is not."""
    refused = RefusedError(429, "too-many-waiting", "Wait for an answer.")
    error = json.loads(answer_of(refused, path.format(case="a", frame=0, model="b"))[1])["error"]
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    of_guards = {"400", "401", "403", "404", "408", "413", "414", "415", "421", "429", "431"}
    assert of_guards <= responses.keys()
    (name,) = {
        response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for status, response in responses.items()
        if status in of_guards
    }
    promised = SCHEMAS[name]["properties"]["error"]
    is_text = promised == {"type": "string"}
    assert isinstance(error, str) if is_text else error.keys() == promised["properties"].keys()
