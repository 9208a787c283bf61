"""The page: files read once at start, and what the page asks first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed import __version__
from tinymed.records import NOTICE
from tinymed.serve.access.access import Access
from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.service import Service

INDEX = "index.html"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
"""What a file's ending says that it is; files of other endings are not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file of the page, in memory."""

    content: bytes
    media_type: str
    etag: str


def read_page(folder: Traversable | None = None) -> dict[str, PageFile]:
    """Every file of the page by its name: the only ones that there are, whatever is asked for."""
    folder = folder or resources.files("tinymed.serve").joinpath("page")
    if not folder.is_dir():
        return {}
    files = {}
    for entry in folder.iterdir():
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if entry.is_file() and media_type is not None:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            files[entry.name] = PageFile(content=content, media_type=media_type, etag=etag)
    return files


def page_routes(files: Mapping[str, PageFile], service: Service, access: Access) -> list[Route]:
    """The routes; what the server is and can is told only to those who have signed in."""

    async def index(request: Request) -> Response:
        return _file_response(request, files.get(INDEX))

    async def file(request: Request) -> Response:
        return _file_response(request, files.get(request.path_params["name"]))

    async def first(request: Request) -> Response:
        user = request.state.user
        facts: dict[str, Any] = {
            "needs_sign_in": access.needs_sign_in and user == "",
            "user": user,
            "notice": NOTICE,
            "version": __version__,
        }
        if not facts["needs_sign_in"]:
            facts |= service.about()
        return JSONResponse(facts)

    return [
        Route("/", index),
        Route("/page/{name}", file),
        Route("/api/page", first),
    ]


def _file_response(request: Request, file: PageFile | None) -> Response:
    if file is None:
        raise RefusedError(404, "not-found", "There is nothing at this address.")
    headers = {"ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
