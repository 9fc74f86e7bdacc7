"""Threads for the stages of a stream: bounded queues, one order, failures that reach the caller.

hashlib, isal, zstandard and file access release the interpreter lock, so stages really run at the same time. A thread
costs more than a small piece of work, so each class works in the caller's thread until a second piece has come.
What is handed to ``put`` belongs to the stage from then on.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Generic, TypeVar

PIECE = 1 << 20
"""Streams move in pieces of at most this size."""

T = TypeVar("T")
R = TypeVar("R")
_Ready = queue.Queue[tuple[T] | BaseException | None]


class PipeStage(Generic[T]):
    """Calls *work* for each item, in order, in a thread of its own from the second item on."""

    def __init__(self, work: Callable[[T], None], depth: int = 4) -> None:
        self._work = work
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(depth)
        self._first: tuple[T] | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._stopped = False

    def put(self, item: T) -> None:
        """Put *item* into the queue of the stage; wait while it is full. Raises what earlier work has raised."""
        self._raise_failure()
        if self._thread is None:
            if self._first is None:
                self._first = (item,)
                return
            thread = threading.Thread(target=self._run, name="layer stage", daemon=True)
            # Kept when it has started: one that could not be started must not be joined.
            thread.start()
            self._thread = thread
            self._queue.put(self._first)
        self._queue.put((item,))

    def close(self) -> None:
        """Return when all work is done. Raises what the work has raised."""
        if self._thread is not None:
            self._join()
        elif self._first is not None:
            self._work(*self._first)
        self._first = None
        self._raise_failure()

    def stop(self) -> None:
        """Start no more work. Items that are put from now on are dropped."""
        self._stopped = True
        self._first = None

    def abort(self) -> None:
        """Stop, and wait for the thread to end. Idempotent."""
        self.stop()
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        # After a failure the queue is still emptied, so that a thread that puts into it never waits for ever.
        while (item := self._queue.get()) is not None:
            if self._stopped or self._failure is not None:
                continue
            try:
                self._work(*item)
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the caller
                self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class Pool(Generic[T, R]):
    """Calls *work* for items in several threads and *deliver* with the results, in the order of the items."""

    def __init__(self, work: Callable[[T], R], deliver: Callable[[R], None], threads: int, *, spare: int = 2) -> None:
        """*spare* items more than there are *threads* may wait for their turn: large ones cost memory."""
        self._work, self._deliver = work, deliver
        self._count = threads
        self._jobs: queue.SimpleQueue[_Job[T, R] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._first: tuple[T] | None = None
        # The depth of this queue bounds the blocks that are under way.
        self._results: PipeStage[_Job[T, R]] = PipeStage(self._collect, depth=threads + spare)

    def put(self, item: T) -> None:
        """Put *item* into the queue of the pool; wait while it is full. Raises what earlier work has raised."""
        if not self._threads:
            if self._first is None:
                self._first = (item,)
                return
            self._start()
            self._submit(*self._first)
        self._submit(item)

    def close(self) -> None:
        """Return when everything is delivered. Raises what the work or the delivery has raised."""
        try:
            if not self._threads and self._first is not None:
                self._deliver(self._work(*self._first))
            self._results.close()
        finally:
            self.abort()

    def abort(self) -> None:
        """Deliver nothing more and wait for the threads to end. Idempotent."""
        self._first = None
        self._results.stop()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._results.abort()

    def _start(self) -> None:
        for _ in range(self._count):
            thread = threading.Thread(target=self._run, name="layer block", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _submit(self, item: T) -> None:
        job = _Job[T, R](item)
        self._jobs.put(job)
        self._results.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.result.put((self._work(job.take()),))
            except BaseException as error:  # noqa: BLE001 - it is raised again by the stage that collects
                job.result.put(error)

    def _collect(self, job: "_Job[T, R]") -> None:
        result = job.result.get()
        if isinstance(result, BaseException):
            raise result
        self._deliver(*result)


class _Job(Generic[T, R]):
    __slots__ = ("_item", "result")

    def __init__(self, item: T) -> None:
        self._item = [item]
        self.result: queue.SimpleQueue[tuple[R] | BaseException] = queue.SimpleQueue()

    def take(self) -> T:
        """Return the item, and let go of it: it may be large, and is not needed after the work."""
        return self._item.pop()


def read_ahead(pieces: Iterator[T], depth: int = 4) -> Generator[T]:
    """Yield what *pieces* yields while a thread already makes the next ones; starts none for a single piece.

    Close the iterator when leaving early: the thread is gone then.
    """
    first = list(islice(pieces, 2))
    yield from first[:1]
    if len(first) == 2:
        yield first[1]
        yield from _read_in_thread(pieces, depth)


def _read_in_thread(pieces: Iterator[T], depth: int) -> Iterator[T]:
    ready: _Ready[T] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_read, args=(pieces, ready, stopped), name="layer reader", daemon=True)
    thread.start()
    item: tuple[T] | BaseException | None = ready.get()
    try:
        while isinstance(item, tuple):
            yield item[0]
            item = ready.get()
        if item is not None:
            raise item
    finally:
        stopped.set()
        # The thread may wait for room in the queue, so this is emptied up to the last item.
        while isinstance(item, tuple):
            item = ready.get()
        thread.join()


def _read(pieces: Iterator[T], ready: _Ready[T], stopped: threading.Event) -> None:
    """Put each piece into the queue, and at the end one more item: the failure, or None."""
    try:
        for piece in pieces:
            ready.put((piece,))
            if stopped.is_set():
                break
        ready.put(None)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the reader
        ready.put(error)
