"""Lists that come in pages (distribution-spec, "Listing Tags"): the tags of a repository, the catalog of a registry."""

import re
from functools import partial
from urllib.parse import urlsplit

from pybuild.builder.oci.errors import InvalidImage, RegistryError
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT, parse_object
from pybuild.builder.oci.registry.transfer.remote import Remote
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.origin import joined

# RFC 8288: other parameters may precede and follow the relation.
_NEXT = re.compile(r"""<([^<>]*)>[^<>,]*?;\s*rel\s*=\s*["']?next["']?\s*(?:[,;]|\Z)""", re.IGNORECASE)
_PAGES = 1000  # a registry could link pages without end


def list_tags(remote: Remote) -> tuple[str, ...]:
    """Return the tags of a repository, following the pages of the list."""
    found: dict[str, None] = {}
    path, seen = "tags/list", set[str]()
    while path and path not in seen and len(seen) < _PAGES:
        seen.add(path)
        names, path = remote.retry.run(partial(_tags_page, remote, path))
        found.update(dict.fromkeys(names))
    return tuple(found)


def _tags_page(remote: Remote, path: str) -> tuple[tuple[str, ...], str]:
    """Return the tags of one page, and the path of the next one, if there is one."""
    with remote.get(path) as reply:
        names, query = page_of(reply, "tags", remote.repository)
    return names, f"tags/list?{query}" if query is not None else ""


def page_of(reply: Reply, key: str, whose: str) -> tuple[tuple[str, ...], str | None]:
    """Return the names of a page of a list, and the query of the next one. Raises RegistryError that says *whose*."""
    raw, link = reply.content(DOCUMENT_LIMIT), _NEXT.search(reply.headers.get("Link", ""))
    if raw is None:
        raise RegistryError(f"{whose}: the list of {key} is larger than {DOCUMENT_LIMIT} bytes")
    try:
        names = parse_object(raw, key).texts(key) or ()
    except InvalidImage as error:
        raise RegistryError(f"{whose}: {error}") from None
    return names, urlsplit(joined(reply.url, link[1])).query if link else None
