"""The tables of tests/SECURITY.md: which tests each row names, and on which rungs of isolation these are run.

python -m tests.helpers.attacks    # the number of tests of each row on each rung
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.rungs import RUNGS

_TESTS = Path(__file__).parents[1]
ROWS = {
    cells[1].strip(): re.findall(r"`([^`]+)`", cells[3])
    for cells in (
        line.split("|") for line in (_TESTS / "SECURITY.md").read_text().splitlines() if line.startswith("| ")
    )
    if cells[1].strip() != "row"
}
"""The names of the tests by row, such as ``e2e/test_x.py`` or ``runtime/test_y.py::test_z``."""
_RUNGS = {
    "e2e/test_attacks_on_rungs.py": RUNGS,
    "e2e/test_images_on_rungs.py": RUNGS,
    "e2e/test_rootless": ("userns",),
    "e2e/test_private_networks.py": ("root", "userns"),
    "e2e/test_debian_on_rungs.py": ("single", "chroot"),
    "e2e/test_single.py": ("single",),
    "runtime/supervisor/": ("single",),
    "e2e/test_chroot.py": ("chroot",),
    "runtime/chrooted/": ("chroot",),
    # What these start needs real root, or a user of its own.
    "e2e/test_network_kills.py": ("root",),
    "runtime/monitor/": ("root",),
    "runtime/networks/": ("root",),
    "builder/networks/": ("root",),
    "builder/containers/": ("root",),
    "builder/cli/commands/network/": ("root",),
}
"""The rungs of tests whose names begin so. All others are run twice, the second time in a user namespace by
``e2e/test_attacks_in_userns.py``."""


def rungs_of(name: str) -> tuple[str, ...]:
    """Return the rungs on which a test is run."""
    return next((rungs for beginning, rungs in _RUNGS.items() if name.startswith(beginning)), ("root", "userns"))


def run_twice(tables: str) -> list[str]:
    """Return the tests that are run on both rungs, of the rows whose names begin with a letter of *tables*, each once."""
    named = dict.fromkeys(name for row, names in ROWS.items() if row.startswith((*tables,)) for name in names)
    return [name for name in named if not name.startswith((*_RUNGS,))]


def counted(row: str) -> dict[str, int]:
    """Return how many of the tests that *row* names are run on each rung."""
    found: dict[str, int] = {}
    for rung in (rung for name in ROWS[row] for rung in rungs_of(name)):
        found[rung] = found.get(rung, 0) + 1
    return found


def _table() -> Iterator[str]:
    yield f"| row | {' | '.join(RUNGS)} |"
    yield "|---" * (len(RUNGS) + 1) + "|"
    for row in ROWS:
        yield f"| {row} | {' | '.join(str(counted(row).get(rung, 0)) for rung in RUNGS)} |"


if __name__ == "__main__":
    print("\n".join(_table()))  # noqa: T201 - a program
