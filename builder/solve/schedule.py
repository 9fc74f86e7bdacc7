"""Working on the vertices of a plan: each after its inputs, independent ones at the same time.

This is not a part of `solver`, because a build that finds everything in the cache starts no threads, and importing what
they need takes a tenth of its time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple, Self

from pybuild.builder.errors import Cancelled
from pybuild.builder.execute.ops import needs_tree
from pybuild.builder.interrupts import noticed
from pybuild.builder.plan.keys import picks
from pybuild.builder.plan.ops import Base, Local, Run, Scratch
from pybuild.builder.plan.plan import Plan
from pybuild.runtime.errors import TreesNeeded
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.stopping import check

_MOST = 128
"""The number of steps at the same time without ``--jobs``: each command has processes of its own."""
_WAKE_UP = 0.5


class _Ended(NamedTuple):
    """A call that has ended, and the exception that it raised."""

    key: int
    error: BaseException | None


class Passed(NamedTuple):
    """A call that has not ended, but lets those that wait for it begin."""

    key: int


News = SimpleQueue[_Ended | Passed | None]
"""What calls report, in order; None for a signal that ends the build."""


def run_in_order(
    waits_for: Mapping[int, Iterable[int]],
    work: Callable[[int], None],
    cancel: Event,
    jobs: int | None = None,
    news: News | None = None,
) -> None:
    """Call *work* for each key of *waits_for*, in several threads, once the calls for its values have ended.

    A call may put a `Passed` of its own key into *news* before it ends.

    All calls that wait for no other run at the same time, at most *jobs* of them: most wait for a network or a command.
    `builder.execute.concurrency` limits those that need much processor time and memory. If not all may run, those with
    the longest chain of calls behind them begin first, then those with the smallest key.

    When one call fails, or this thread is interrupted or stopped (`runtime.stopping`), *cancel* is set, nothing new is
    begun, and what runs is waited for. Raises what the first call that failed raised.
    """
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    running = 0
    passed: set[int] = set()
    news = SimpleQueue() if news is None else news
    most = jobs or _MOST
    after = _chains(waits_for) if 1 < most < len(waits_for) else {}
    ready: list[tuple[int, int]] = []
    with noticed(partial(news.put, None)), _Threads(work, news) as threads:
        try:
            while running or sorter.is_active():
                for index in sorter.get_ready():
                    heappush(ready, (-after.get(index, 0), index))
                while ready and running < most:
                    running += 1
                    threads.begin(heappop(ready)[1], running)
                for each in _wait_for_some(news):
                    running -= isinstance(each, _Ended)
                    if each.key not in passed:
                        sorter.done(each.key)
                        passed.add(each.key)
        except BaseException:
            cancel.set()
            raise


class _Threads:
    """Threads that call *work*. The end of the block waits for calls that have begun, and drops others after a failure.

    `concurrent.futures` does this as well, but it loads `logging`, which takes longer than a small step.
    """

    def __init__(self, work: Callable[[int], None], news: News) -> None:
        self._work, self._news = work, news
        self._calls: SimpleQueue[int | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with suppress(Empty):
            while kind is not None:
                self._calls.get_nowait()
        for _thread in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def begin(self, index: int, running: int) -> None:
        """Begin a call. *running* is the number of calls with this one; some may have just ended."""
        if running > len(self._threads):
            thread = Thread(target=self._run, name=f"steps {running}")
            thread.start()
            self._threads.append(thread)
        self._calls.put(index)

    def _run(self) -> None:
        while (index := self._calls.get()) is not None:
            self._news.put(_Ended(index, self._error_of(index)))

    def _error_of(self, index: int) -> BaseException | None:
        try:
            self._work(index)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the caller
            return error
        return None


def _chains(waits_for: Mapping[int, Iterable[int]]) -> dict[int, int]:
    """Return for each key the length of the longest chain of others that wait for it."""
    import networkx as nx

    edges = ((index, source) for index, sources in waits_for.items() for source in sources)
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    graph.add_nodes_from(waits_for)
    return {index: length for length, some in enumerate(nx.topological_generations(graph)) for index in some}


def _wait_for_some(news: News) -> list[_Ended | Passed]:
    """Wait until calls end or pass, and return them. When some failed, raise the exception that says the most."""
    found: list[_Ended | Passed | None] = []
    while not found:
        check()
        # With a time limit: a signal that arrives just before the wait would not end it.
        with suppress(Empty):
            found.append(news.get(timeout=_WAKE_UP))
    while not news.empty():
        found.append(news.get())
    done = [each for each in found if each is not None]
    if len(done) < len(found):
        raise KeyboardInterrupt
    _raise_first_failure([each for each in done if isinstance(each, _Ended)])
    return done


def _raise_first_failure(done: list[_Ended]) -> None:
    """Raise the exception of a failed call, if there is one: of a step that was stopped only if no other failed."""
    failures = [each.error for each in done if each.error is not None]
    for error in sorted(failures, key=lambda error: isinstance(error, Cancelled)):
        raise error


def check_trees(plan: Plan, indexes: Iterable[int]) -> None:
    """Raise TreesNeeded when this process is not root, and one of these vertices needs unpacked files.

    These are the files of its rootfs, or those that it selects from another stage.
    """
    if not is_direct() and any(_needs_tree(plan, index) for index in indexes):
        raise TreesNeeded


def _needs_tree(plan: Plan, index: int) -> bool:
    vertex = plan.vertices[index]
    if isinstance(vertex.op, Base | Scratch | Local):
        return False
    selected = (plan.vertices[vertex.inputs[pick.input]].op for pick in picks(vertex.op))
    return needs_tree(vertex.op) or not all(isinstance(op, Local) for op in selected)


def chains_of_runs(plan: Plan, waits_for: Mapping[int, Iterable[int]]) -> Iterator[tuple[int, int]]:
    """Yield pairs of RUN, the second of which changes the rootfs of the first, and alone waits for it."""
    waiting: dict[int, list[int]] = {}
    for index, sources in waits_for.items():
        for source in sources:
            waiting.setdefault(source, []).append(index)
    for first, (index, *more) in waiting.items():
        second = plan.vertices[index]
        # A mount of the second may be from the first, too.
        alone = not more and second.inputs[0] == first and first not in second.inputs[1:]
        if alone and isinstance(plan.vertices[first].op, Run) and isinstance(second.op, Run):
            yield first, index
