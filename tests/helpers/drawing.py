"""Which of many tests of one mechanism run: with ``--share N`` one in N of those marked `drawn`, chosen by ``--seed``.

    @pytest.mark.drawn                        its cases are dealt into N shares, one of which runs
    @pytest.mark.drawn("packages", "nginx")   as do all that say "packages": those with the same second word are in one share

The shares of all seeds together are all tests, and each share has a case of each group: a group of fewer than N is dealt
into as many shares as it has cases. Without ``--share`` every test runs. `tests/conftest.py` loads this as a plugin.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

_NAME = "drawn"
_COUNTED = pytest.StashKey[tuple[int, int]]()


def dealt(units: Iterable[str], share: int, seed: str, group: str = "") -> set[str]:
    """Return those of *units* that are in the share of *seed*, one of at most *share*."""
    ordered = sorted(set(units))
    shares = max(1, min(share, len(ordered)))
    return set(ordered[zlib.crc32(f"{seed} {group}".encode()) % shares :: shares])


def left_out(items: Sequence[pytest.Item], share: int, seed: str) -> list[pytest.Item]:
    """Return the drawn tests of *items* that are in other shares."""
    groups: defaultdict[str, list[tuple[str, pytest.Item]]] = defaultdict(list)
    for item in items:
        if marks := list(item.iter_markers(_NAME)):
            # One with words, which a parameter has, counts more than that of the test.
            group, unit = next((mark.args for mark in marks if mark.args), (_function(item), item.name))
            groups[group].append((unit, item))
    chosen = {name: dealt((unit for unit, _ in found), share, seed, name) for name, found in groups.items()}
    return [item for name, found in groups.items() for unit, item in found if unit not in chosen[name]]


def _function(item: pytest.Item) -> str:
    return f"{item.location[0]}::{item.name.partition('[')[0]}"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("drawn tests")
    group.addoption("--share", type=int, default=1, metavar="N", help="only one in N of the tests marked drawn")
    group.addoption("--seed", default="", help="which of them: the same seed, the same tests")


@pytest.hookimpl(trylast=True)  # after -m and -k: a share of what would run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    drawn = sum(item.get_closest_marker(_NAME) is not None for item in items)
    left = set(left_out(items, config.getoption("share"), config.getoption("seed")))
    items[:] = [item for item in items if item not in left]
    if left:
        config.hook.pytest_deselected(items=list(left))
    config.stash[_COUNTED] = len(left), drawn


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_NAME] = session.config.stash.get(_COUNTED, (0, 0))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: "WorkerController") -> None:  # noqa: F821 - of pytest-xdist, which may be missing
    """Take over what a process of a parallel run counted: the first one has collected nothing."""
    node.config.stash[_COUNTED] = tuple(getattr(node, "workeroutput", {}).get(_NAME, (0, 0)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left, drawn = config.stash.get(_COUNTED, (0, 0))
    if left:
        share, seed = config.getoption("share"), config.getoption("seed")
        terminalreporter.write_line(f"drawn by --share {share} --seed {seed}: {left} of {drawn} tests were left out")
