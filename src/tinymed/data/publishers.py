"""Where published files lie, and what their publishers say of size and hash."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, Protocol

from tinymed.errors import DataError
from tinymed.models.transfer.hub import list_files, listing_address
from tinymed.models.transfer.listing import NoListingError, ask
from tinymed.models.transfer.urls import without_password

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """One file to fetch."""

    path: PurePosixPath
    """Where it goes, inside the data set's folder."""
    url: str
    num_bytes: int
    sha256: str


class Publisher(Protocol):
    """Knows the files of a data set."""

    def files(self) -> Iterator[PublishedFile]:
        """The files with their sizes and hashes; may ask the network.

        Raises:
            DataError: If the publisher cannot be asked, or does not say what is needed.
        """
        ...


def all_files(publishers: Iterable[Publisher]) -> list[PublishedFile]:
    """The files of all publishers.

    Raises:
        DataError: If one cannot be asked, or its list is not as expected.
    """
    try:
        return [file for publisher in publishers for file in publisher.files()]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"A publisher's list of files is not as expected: {error!r}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """A file at a fixed address, known by size and hash beforehand."""

    path: str
    url: str
    num_bytes: int
    sha256: str

    def files(self) -> Iterator[PublishedFile]:
        """The file itself; asks nobody."""
        yield _published(self.path, self.url, self.num_bytes, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFiles:
    """Files of a data set on the Hugging Face hub, at one revision.

    The hub's list states the size of every file and the SHA-256 of those in its large-file
    store; of the others it states a git hash, so their SHA-256 is given here.
    HF_ENDPOINT names a mirror, as it does for the hub's own client.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]
    """Each must match at least one file."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Of files that are not in the large-file store."""

    def files(self) -> Iterator[PublishedFile]:
        """The files that match, as the hub lists them."""
        url = listing_address("datasets", self.repository, self.revision)
        try:
            _, listed = list_files("datasets", self.repository, self.revision)
        except NoListingError as error:
            raise _unlisted(url, error) from error
        for pattern in self.patterns:
            names = sorted(name for name in listed if fnmatchcase(name, pattern))
            if not names:
                raise DataError(f"'{without_password(url)}' lists no file '{pattern}'.")
            for name in names:
                file = listed[name]
                sha256 = self.sha256.get(name) or file.sha256
                yield _published(name, file.url, file.num_bytes, sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class OsfFiles:
    """Files of a project on the Open Science Framework, and of its folders."""

    project: str
    patterns: tuple[str, ...]
    """Names of files and folders to take; each must match at least one."""
    endpoint: str = "https://api.osf.io/v2"

    def files(self) -> Iterator[PublishedFile]:
        """The files that match and all files of the folders that do."""
        url = f"{self.endpoint}/nodes/{self.project}/files/osfstorage/?page%5Bsize%5D=100"
        entries = list(_osf_entries(url))
        for pattern in self.patterns:
            matching = [one for one in entries if fnmatchcase(_osf_name(one), pattern)]
            if not matching:
                raise DataError(f"'{url}' lists nothing called '{pattern}'.")
            for entry in matching:
                yield from _osf_files(entry)


def _osf_files(entry: dict[str, Any]) -> Iterator[PublishedFile]:
    name = _osf_name(entry)
    if entry["attributes"].get("kind") == "folder":
        link = entry["relationships"]["files"]["links"]["related"]["href"]
        for inner in _osf_entries(f"{link}?page%5Bsize%5D=100"):
            if inner["attributes"].get("kind") == "file":
                yield _osf_file(inner, f"{name}/{_osf_name(inner)}")
    else:
        yield _osf_file(entry, name)


def _osf_file(entry: dict[str, Any], path: str) -> PublishedFile:
    said = entry["attributes"]
    sha256 = ((said.get("extra") or {}).get("hashes") or {}).get("sha256")
    return _published(path, entry["links"]["download"], said.get("size"), sha256)


def _osf_name(entry: dict[str, Any]) -> str:
    return str(entry["attributes"]["name"])


def _osf_entries(url: str) -> Iterator[dict[str, Any]]:
    """Every entry of a folder, page after page."""
    following: str | None = url
    while following:
        page = _listing(following)
        yield from page["data"]
        following = page["links"].get("next")


def _listing(url: str) -> Any:
    try:
        return ask(url)
    except NoListingError as error:
        raise _unlisted(url, error) from error


def _unlisted(url: str, error: NoListingError) -> DataError:
    advice = "" if error.status else " Run the same command again where there is internet."
    return DataError(f"Cannot list the files at {without_password(url)}: {error}.{advice}")


def _published(path: str, url: str, num_bytes: object, sha256: object) -> PublishedFile:
    """A file as listed, refused unless name, address, size and hash are such."""
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts or "\\" in path or not place.parts:
        raise DataError(f"A publisher lists a file outside its folder: '{path}'.")
    if not url.startswith(("https://", "http://")):
        raise DataError(f"A publisher lists '{path}' at '{url}', which is no web address.")
    if not isinstance(num_bytes, int) or num_bytes < 1:
        raise DataError(f"The publisher of '{path}' states no size: fetch it by hand from {url}.")
    digest = str(sha256).removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise DataError(
            f"The publisher of '{path}' states no SHA-256: fetch it by hand from {url}."
        )
    return PublishedFile(path=place, url=url, num_bytes=num_bytes, sha256=digest)
