"""Working on the vertices of a plan in order of what they wait for, independent ones at the same time.

Apart from the solver because a build that finds everything in the cache starts no thread, and what threads need takes
a tenth of its time to import.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from threading import Event

from builder.errors import Cancelled

_WORKERS = 4
_WAKE_UP = 0.5


def run_in_order(
    waits_for: Mapping[int, Iterable[int]], work: Callable[[int], None], cancel: Event, jobs: int | None = None
) -> None:
    """Call *work* for each key of *waits_for*, after it ended for the values, from several threads: *jobs* of them.

    When one call fails, or this thread is interrupted, *cancel* is set, nothing new is begun, and what runs is waited
    for. Raises what the first call that failed raised.
    """
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    running: dict[Future[None], int] = {}
    with ThreadPoolExecutor(max_workers=jobs or _WORKERS) as pool:
        try:
            while sorter.is_active():
                for place in sorter.get_ready():
                    running[pool.submit(work, place)] = place
                # Waking up now and then lets a signal in that came just before the thread went to sleep.
                done, _ = wait(running, timeout=_WAKE_UP, return_when=FIRST_COMPLETED)
                _raise_first_failure(done)
                for future in done:
                    sorter.done(running.pop(future))
        except BaseException:
            cancel.set()
            _shut_down(pool)
            raise


def _shut_down(pool: ThreadPoolExecutor) -> None:
    """Wait for what runs, whatever signals come: it cleans up, and is gone in a moment."""
    while True:
        try:
            pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            continue
        return


def _raise_first_failure(done: set[Future[None]]) -> None:
    """Raise what one of these ended with; that a step was stopped says less than why another one failed."""
    failures = [error for future in done if (error := future.exception()) is not None]
    for error in sorted(failures, key=lambda error: isinstance(error, Cancelled)):
        raise error
