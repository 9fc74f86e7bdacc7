"""``pybuild ps`` without click: as a table or by a template, filtered, or only the ids."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pybuild.builder.cli.failures import Described
from pybuild.builder.cli.fast_path.common import KnownFlags, own_root, read
from pybuild.builder.cli.format.containers import COLUMNS, HEADERS, container_row
from pybuild.builder.cli.format.listing import filled, listing
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.catalog import StoredContainer, all_containers
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.names import SHORT
from pybuild.builder.containers.state import ALIVE, State, needs_settling
from pybuild.builder.errors import RequestError, StoreError

_KNOWN = KnownFlags(
    ones={"--format": "template"},
    many={"-f": "filters", "--filter": "filters"},
    switches={"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "whole"},
    interspersed=True,
)

Listed = tuple[StoredContainer, State]


def command(words: Sequence[str]) -> int | None:
    """Carry out ``ps`` with *words* and return the exit code; None, and nothing is done, when click must read them.

    That is also the case when the end of a container has to be recorded first, and for the size of its files.
    """
    given = read(words, _KNOWN)
    root = None if given is None or given.words else own_root()
    if given is None or root is None:
        return None
    template = given.one("template")
    if template and (given.has("quiet") or "Size" in template):
        return None
    try:
        found = [(each, each.state) for each in all_containers(root)]
        passes, tells_state = _filter(root, given.many("filters"))
    except (StoreError, OSError, RequestError, ContainerError, Described):
        return None
    if any(needs_settling(each.directory, state, removed=each.config.host.auto_remove) for each, state in found):
        return None
    everything = given.has("all") or tells_state
    chosen = [pair for pair in found if (everything or pair[1].status in ALIVE) and passes(pair[0])]
    whole = given.has("whole")
    text = _ids(chosen, whole=whole) if given.has("quiet") else _table(chosen, template, whole=whole)
    if text is None:
        return None
    if text:
        say(text)
    return 0


def _ids(chosen: Iterable[Listed], *, whole: bool) -> str:
    return "\n".join(each.id if whole else each.id[:SHORT] for each, _ in chosen)


def _table(chosen: Iterable[Listed], template: str | None, *, whole: bool) -> str | None:
    """Return the listing of *chosen*; None for a template with a mistake."""
    rows = [container_row(each, state, whole=whole) for each, state in chosen]
    if template in {None, "table"}:
        return listing(rows, HEADERS, COLUMNS, None)
    from pybuild.builder.cli.format.template_text import TemplateError

    try:
        return filled(rows, HEADERS, str(template))
    except TemplateError:
        return None


def _filter(root: Path, filters: Sequence[str]) -> tuple[Callable[[StoredContainer], bool], bool]:
    if not filters:
        return lambda _: True, False
    from pybuild.builder.cli.format.container_filters import container_filter

    return container_filter(root, filters, _no_images)


def _no_images(name: str) -> str:
    raise RequestError(f"{name}: images are not looked up here")
