"""Executing the vertices of a plan that are not cached, independent ones in parallel.

A vertex is executed under a lock of its key. When two builds need it at the same time, one of them executes it, and
the other waits for the lock and then finds the record.
"""

import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue

from pybuild.builder.content.selections import Selected, Selections, read_again
from pybuild.builder.errors import BuildError, Cancelled, StepFailed
from pybuild.builder.execute import ops
from pybuild.builder.execute.handover import Handover
from pybuild.builder.execute.job import FirstTimes, Job, Work
from pybuild.builder.oci.errors import OciError
from pybuild.builder.plan.ops import Base, Copy, Run
from pybuild.builder.reporter import Steps
from pybuild.builder.request import Execution
from pybuild.builder.request.step_settings import HostInputs, StepSettings, host_inputs, step_settings
from pybuild.builder.solve.base_images import BaseImages
from pybuild.builder.solve.lookup import Executor, Lookup, Uncached
from pybuild.builder.solve.schedule import News, Passed, chains_of_runs, check_trees, run_in_order
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.locks import computed_once
from pybuild.runtime.errors import RuntimeHostError, TreesNeeded
from pybuild.runtime.stopping import stoppable

_WAITING = "waiting for another build that is at the same step"


class Executing:
    """Solves vertices whose inputs are solved. Methods from `_solve` on run in several threads, each for its vertex."""

    def __init__(
        self, lookup: Lookup, selections: Selections, steps: Steps, execution: Execution, cancel: threading.Event
    ) -> None:
        self._lookup, self._selections, self._steps, self._cancel = lookup, selections, steps, cancel
        self._plan, self._store, self._keys = lookup.plan, lookup.store, lookup.keys
        self._execution = execution
        self._bases = BaseImages(lookup, steps, cancel)
        self._first_times = FirstTimes()
        self._independent: frozenset[int] = frozenset()
        self._executor: Executor = ops.execute
        self._before: dict[int, Handover] = {}
        self._after: dict[int, Handover] = {}
        """Handovers, by the RUN that takes a tree and by the one that gives it."""

    @computed_once
    def _settings(self) -> tuple[StepSettings, HostInputs]:
        return step_settings(self._execution), host_inputs(self._execution)

    def run(self, uncached: Uncached, targets: Iterable[int], executor: Executor | None) -> None:
        """Solve the vertices of *uncached* in the order of their inputs. The layers of *targets* are kept.

        *executor* executes the ops; without one, it is done in sandboxes of this process.
        """
        self._independent = uncached.independent
        check_trees(self._plan, uncached.waits_for.keys() - self._independent)
        self._lookup.expect(uncached.waits_for, targets)
        self._bases.expect(uncached.waits_for)
        waits_for = {index: uncached.waits_for.keys() & sources for index, sources in uncached.waits_for.items()}
        news: News = SimpleQueue()
        runs: list[Run] = []
        if executor is not None:
            # It need not run commands in a sandbox of this process.
            self._executor = executor
        else:
            runs = [op for index in waits_for if isinstance(op := self._plan.vertices[index].op, Run)]
            self._chain_runs(waits_for, news)
        with ops.prepare_for(runs):
            run_in_order(waits_for, self._solve, self._cancel, self._execution.jobs, news)

    def _chain_runs(self, waits_for: Mapping[int, Iterable[int]], news: News) -> None:
        """Let a RUN on a RUN begin when the command of the lower one has ended."""
        # With SOURCE_DATE_EPOCH, packing sets times in the tree.
        if self._execution.source_date_epoch is None and self._execution.jobs is None:
            for first, second in chains_of_runs(self._plan, waits_for):
                handover = Handover(partial(news.put, Passed(first)), self._cancel)
                self._after[first] = self._before[second] = handover

    def _check(self) -> None:
        if self._cancel.is_set():
            raise Cancelled("cancelled")

    def _solve(self, index: int) -> None:
        """Solve one vertex, in a worker thread."""
        with stoppable(self._check):
            try:
                self._check()
                self._solve_vertex(index)
            finally:
                if index in self._after:
                    self._after[index].end(self._lookup.solved.get(index))
            self._lookup.release_inputs(index)

    def _solve_vertex(self, index: int) -> None:
        vertex = self._plan.vertices[index]
        if isinstance(vertex.op, Base):
            self._bases.pull(index, vertex.op)
            return
        # No lock, because nothing is executed: its layer was found under its own key.
        if index in self._independent and self._take_from_cache(index):
            return
        with ExitStack() as stack:
            selected = self._select(index, stack)
            self._keys.settle(index, tuple(item.digest for item in selected))
            # Builds on different bases make the same independent layer, so they wait for each other by its own key.
            lock = str(self._keys.own(index) or self._keys.by_index[index])
            stack.enter_context(
                self._store.locks.exclusive(lock, self._cancel.is_set, lambda: self._steps.say(index)(_WAITING))
            )
            # The first lookup used what earlier builds remembered of the inputs. Now the key comes from the inputs
            # themselves, and another build may have recorded the vertex while this one waited for the lock.
            if not self._take_from_cache(index):
                self._lookup.record(index, self._execute(index, selected))

    def _select(self, index: int, stack: ExitStack) -> tuple[Selected, ...]:
        """Open what a vertex selects from its inputs, until *stack* is closed."""
        vertex = self._plan.vertices[index]
        for source in vertex.inputs[1:] if isinstance(vertex.op, Copy) else ():
            self._bases.unpack(index, source)
        try:
            return self._selections.open(index, self._lookup.solved, self._keys.by_index, stack)
        # Not failures of this step: one that was reported, an interruption, and the need for another process.
        except (StepFailed, Cancelled, TreesNeeded):
            raise
        except (BuildError, OciError, RuntimeHostError, OSError) as error:
            raise self._steps.failed(index, error) from error

    def _execute(self, index: int, selected: tuple[Selected, ...]) -> BuiltLayer:
        vertex = self._plan.vertices[index]
        if isinstance(vertex.op, Run):
            for source in vertex.inputs:
                self._bases.unpack(index, source)
        with self._steps.running(index), storing(self._store.root):
            settings, host = self._settings
            if note := read_again(selected):
                self._steps.output(index)(2, note.encode())
            job = Job(
                op=vertex.op,
                root=self._lookup.rootfs(index) or Layers(),
                inputs=tuple(self._lookup.solved.get(source) for source in vertex.inputs),
                settings=settings,
                ignore_cache=index in self._lookup.freshness.to_run,
            )
            work = Work(
                job=job,
                host=host,
                store=self._store,
                selected=selected,
                output=self._steps.output(index),
                status=self._steps.status(index),
                cancel=self._cancel,
                is_first=self._first_times.is_first,
                before=self._before.get(index),
                after=self._after.get(index),
            )
            layer = self._executor(work)
            self._steps.note_layer(index, layer)
            return layer

    def _take_from_cache(self, index: int) -> bool:
        """Return whether a vertex is cached; report it when it is."""
        if self._lookup.find(index) is None:
            return False
        self._steps.report_cached(index, self._lookup.layer_of(index))
        return True
