"""``pybuild ps`` without click: the table with the default columns, or the ids."""

from collections.abc import Sequence

from pybuild.builder.cli.fast_path.common import KnownFlags, own_root, read
from pybuild.builder.cli.format.containers import COLUMNS, HEADERS, container_row
from pybuild.builder.cli.format.listing import listing
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.catalog import all_containers
from pybuild.builder.containers.state import ALIVE, needs_settling
from pybuild.builder.errors import StoreError

_KNOWN = KnownFlags(
    switches={"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "whole"},
    interspersed=True,
)


def command(words: Sequence[str]) -> int | None:
    """Carry out ``ps`` with *words* and return the exit code; None, and nothing is done, when click must read them.

    That is also the case when the end of a container has to be recorded first.
    """
    given = read(words, _KNOWN)
    root = None if given is None or given.words else own_root()
    if given is None or root is None:
        return None
    try:
        found = [(each, each.state) for each in all_containers(root)]
    except (StoreError, OSError):
        return None
    if any(needs_settling(each.directory, state, removed=each.config.host.auto_remove) for each, state in found):
        return None
    chosen = found if given.has("all") else [pair for pair in found if pair[1].status in ALIVE]
    if given.has("quiet"):
        text = "\n".join(each.id if given.has("whole") else each.id[:12] for each, _ in chosen)
    else:
        rows = [container_row(each, state, whole=given.has("whole")) for each, state in chosen]
        text = listing(rows, HEADERS, COLUMNS, None)
    if text:
        say(text)
    return 0
