"""Which repositories a registry has: by Docker Hub's search, or by the catalog of the distribution API."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from pybuild.builder.oci.errors import InvalidImage, RegistryDenied, RegistryError
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT, parse_object
from pybuild.builder.oci.registry.lists import page_of
from pybuild.builder.oci.registry.registry import Registry

# Docker's client searches there as well: the index of Docker Hub is another host than its registry.
HUB, _HUB_SEARCH = "docker.io", "https://index.docker.io"
_PAGE, _PAGES = 1000, 100


class FoundRepository(NamedTuple):
    """A repository, and what the registry says of it."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(registry: Registry, name: str, text: str, most: int) -> list[FoundRepository]:
    """Return at most *most* repositories of the registry called *name* that fit *text*, in its order.

    A server without a search is asked for its catalog, and the repositories with *text* in their names are returned.

    Raises:
        RegistryError: it has neither, or failed.
    """
    server = _HUB_SEARCH if name == HUB else ""
    try:
        return _search(registry, f"{server}/v1/search?q={quote(text, safe='')}&n={most}")[:most]
    except RegistryDenied:
        raise
    except RegistryError as error:
        if server or error.status not in {404, 405}:
            raise
    found = []
    for repository in _catalog(registry, name):
        if text.lower() in repository.lower():
            found.append(FoundRepository(repository))
            if len(found) == most:
                break
    return found


def _search(registry: Registry, address: str) -> list[FoundRepository]:
    with registry.ask(address) as reply:
        raw = reply.content(DOCUMENT_LIMIT)
    if raw is None:
        raise RegistryError("the answer to the search is too large")
    try:
        results = parse_object(raw, "search").objects("results")
        return [
            FoundRepository(
                name=each.text("name", required=True),
                description=each.text("description"),
                stars=each.integer("star_count"),
                official=each.flag("is_official"),
                automated=each.flag("is_automated"),
            )
            for each in results
        ]
    except InvalidImage as error:
        raise RegistryError(f"the answer to the search is invalid: {error}") from None


def _catalog(registry: Registry, name: str) -> Iterator[str]:
    """Yield the names of all repositories, page by page."""
    path = f"/v2/_catalog?n={_PAGE}"
    for _ in range(_PAGES):
        with registry.ask(path) as reply:
            names, query = page_of(reply, "repositories", name)
        yield from names
        if query is None:
            return
        path = f"/v2/_catalog?{query}"
