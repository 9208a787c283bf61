"""The real server keeps what its OpenAPI document promises: schemathesis asks."""

from __future__ import annotations

import re

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
from tinymed.serve.programs.openapi import document
from tinymed.serve.settings import ServeSettings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
OPERATIONS = [
    (method.upper(), path)
    for path, item in document()["paths"].items()
    for method in item
    if method != "parameters"
]


def ask_much(server: RealServer, data: bytes, method: str, path: str, num_examples: int) -> None:
    """Send requests that the document allows, and such as it does not."""
    case_id = server.open_case(data)["case"]
    operation = schemathesis.openapi.from_dict(document())[path][method]

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
        case.call_and_validate(base_url=server.url, checks=CHECKS)

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
