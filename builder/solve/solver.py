"""Solving a plan: finding the layer of each vertex in the cache, or executing the vertex.

Solving makes three passes over the plan:

1. Compute the key of each vertex, as far as keys follow without executing anything.
2. Go from the targets down, and collect the vertices that are not cached. The inputs of a cached vertex are skipped.
3. Execute the collected vertices in the order of their inputs, independent ones in parallel. A vertex whose key
   depends on the output of its inputs gets its key now, and may still be found in the cache.

A vertex is executed under a lock of its key. When two builds need it at the same time, one of them executes it, and
the other waits for the lock and then finds the record.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from pybuild.builder.content.context import Sources
from pybuild.builder.content.selections import Selected, Selections, read_again
from pybuild.builder.errors import BuildError, Cancelled, StepFailed
from pybuild.builder.oci.errors import OciError
from pybuild.builder.plan.ops import Base, Copy, Local, Run
from pybuild.builder.plan.plan import Finished, Graph, Plan
from pybuild.builder.reporter import Reporter, Steps
from pybuild.builder.request import Caches, Execution, Files
from pybuild.builder.solve.keys import VertexKeys
from pybuild.builder.solve.lookup import Freshness, Lookup
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.locks import computed_once
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import RuntimeHostError, TreesNeeded
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    from pybuild.builder.execute.handover import Handover
    from pybuild.builder.execute.job import FirstTimes
    from pybuild.builder.request.step_settings import HostInputs, StepSettings
    from pybuild.builder.solve.base_images import BaseImages

_WAITING = "waiting for another build that is at the same step"
Executor = Callable[[Any], BuiltLayer]
"""Executes the op of a `builder.execute.Work` and returns the new layer."""


@frozen
class SolveSettings:
    """The parts of a request that solving depends on."""

    files: Files
    execution: Execution
    caches: Caches


@frozen
class Solved:
    """The result of solving: the layers of each target, in the order of the targets, and the plan with its keys."""

    layers: tuple[Layers, ...]
    finished: Finished


def solve(
    graph: Graph, settings: SolveSettings, store: Store, reporter: Reporter, execute: Executor | None = None
) -> Solved:
    """Solve the targets of *graph*. *execute* executes a `Work`; the default is `builder.execute.ops.execute`.

    Raises:
        TreesNeeded: the build needs unpacked layers, and this process is not root.
        StepFailed: a step failed. Finished steps stay in the cache.
        Cancelled: the user interrupted the build. Running steps have been stopped.
    """
    cancel = threading.Event()
    with Sources(settings.files, store, cancel.is_set) as sources:
        steps = Steps(graph.plan, reporter)
        solver = _Solver(graph.plan, settings, store, steps=steps, sources=sources, cancel=cancel)
        solver.execute = execute
        try:
            layers = solver.solve(graph.targets)
        except KeyboardInterrupt:
            raise Cancelled("the build was interrupted") from None
    keys, own = solver.keys.by_index, solver.keys.all_own()
    return Solved(layers=layers, finished=Finished(plan=graph.plan, targets=graph.targets, keys=keys, own_keys=own))


class _Solver:
    """The state of one `solve`. Methods from `_solve_one` on run in several threads, each for its own vertex."""

    def __init__(
        self,
        plan: Plan,
        settings: SolveSettings,
        store: Store,
        *,
        steps: Steps,
        sources: Sources,
        cancel: threading.Event,
    ) -> None:
        self.plan, self.execution, self.store = plan, settings.execution, store
        self.steps, self.cancel = steps, cancel
        self.selections = Selections(plan, store, sources)
        self.keys = VertexKeys(plan, self.selections, steps, self.execution.source_date_epoch)
        self.freshness = Freshness(plan, settings.caches)
        self.lookup = Lookup(plan, store, self.keys, self.freshness)
        self.independent: set[int] = set()
        """Vertices whose own layer is cached and fits on any rootfs, as that of COPY --link (`keys.own_key`)."""
        self.execute: Executor | None = None
        self.before: dict[int, Handover] = {}
        self.after: dict[int, Handover] = {}
        """Handovers, by the RUN that takes a tree and by the one that gives it."""

    @computed_once
    def first_times(self) -> "FirstTimes":
        # Imported here: a build in which nothing is executed has no jobs.
        from pybuild.builder.execute.job import FirstTimes

        return FirstTimes()

    @computed_once
    def settings(self) -> "tuple[StepSettings, HostInputs]":
        from pybuild.builder.request.step_settings import host_inputs, step_settings

        return step_settings(self.execution), host_inputs(self.execution)

    @computed_once
    def bases(self) -> "BaseImages":
        from pybuild.builder.solve.base_images import BaseImages

        return BaseImages(self.plan, self.keys, self.lookup, self.steps, self.cancel)

    def solve(self, targets: tuple[int, ...]) -> tuple[Layers, ...]:
        self.keys.compute()
        needed = self._needs(targets)
        self.selections.keep_only(needed)
        for index in range(len(self.plan.vertices)):
            if index not in needed and not isinstance(self.plan.vertices[index].op, Local):
                self._report_cached(index)
        self.lookup.expect(needed, targets)
        self._run(needed)
        return tuple(self.lookup.solved[target] for target in targets)

    def _needs(self, targets: tuple[int, ...]) -> set[int]:
        """Return the vertices to execute, or to look up again once their inputs are solved.

        The base of a cached vertex is needed, too: its layers are part of the image, so they are pulled when they are
        missing, and what is executed on top unpacks them.
        """
        needed: set[int] = set()
        waiting = [index for target in targets for index in (target, self.lookup.base_of(target))]
        while waiting:
            index = waiting.pop()
            vertex = self.plan.vertices[index]
            if index in needed or isinstance(vertex.op, Local) or self.lookup.find(index) is not None:
                continue
            needed.add(index)
            if self.lookup.independent_layer(index) is not None:
                self.independent.add(index)
            waiting.extend(self._waits_for(index))
        return needed

    def _waits_for(self, index: int) -> tuple[int, ...]:
        """Return the vertices that must be solved before *index*: its inputs, and the bases that these stand on.

        An independent layer that is cached needs its rootfs only, not the inputs that it was copied from.
        """
        inputs = self.plan.vertices[index].inputs
        inputs = inputs[:1] if index in self.independent else inputs
        return (*inputs, *(self.lookup.base_of(source) for source in inputs))

    def _run(self, needed: set[int]) -> None:
        if needed:
            from queue import SimpleQueue

            from pybuild.builder.execute.handover import Handover
            from pybuild.builder.execute.ops import prepare_for
            from pybuild.builder.solve.schedule import News, Passed, chains_of_runs, check_trees, run_in_order

            check_trees(self.plan, needed - self.independent)
            ops = [self.plan.vertices[index].op for index in needed]
            # An executor that a caller gives need not run commands in a sandbox of this process.
            runs = [op for op in ops if isinstance(op, Run) and self.execute is None]
            self.bases.expect(needed)
            waits_for = {index: needed.intersection(self._waits_for(index)) for index in needed}
            news: News = SimpleQueue()
            # With SOURCE_DATE_EPOCH, packing sets times in the tree.
            if self.execute is None and self.execution.source_date_epoch is None and self.execution.jobs is None:
                for first, second in chains_of_runs(self.plan, waits_for):
                    handover = Handover(partial(news.put, Passed(first)), self.cancel)
                    self.after[first] = self.before[second] = handover
            with prepare_for(runs):
                run_in_order(waits_for, self._solve_one, self.cancel, self.execution.jobs, news)

    def _check(self) -> None:
        if self.cancel.is_set():
            raise Cancelled("cancelled")

    def _solve_one(self, index: int) -> None:
        """Solve one vertex whose inputs are solved, in a worker thread."""
        from pybuild.runtime.stopping import stoppable

        with stoppable(self._check):
            try:
                self._check()
                self._solve_vertex(index)
            finally:
                if index in self.after:
                    self.after[index].end(self.lookup.solved.get(index))
            self.lookup.release_inputs(index)

    def _solve_vertex(self, index: int) -> None:
        vertex = self.plan.vertices[index]
        if isinstance(vertex.op, Base):
            self.bases.pull(index, vertex.op)
            return
        # No lock, because nothing is executed: its layer was found under its own key.
        if index in self.independent and self._take_from_cache(index):
            return
        with ExitStack() as stack:
            selected = self._select(index, stack)
            self.keys.settle(index, tuple(item.digest for item in selected))
            # Builds on different bases make the same independent layer, so they wait for each other by its own key.
            lock = str(self.keys.own(index) or self.keys.by_index[index])
            stack.enter_context(
                self.store.locks.exclusive(lock, self.cancel.is_set, lambda: self.steps.say(index)(_WAITING))
            )
            # The first lookup used what earlier builds remembered of the inputs. Now the key comes from the inputs
            # themselves, and another build may have recorded the vertex while this one waited for the lock.
            if not self._take_from_cache(index):
                self.lookup.record(index, self._execute(index, selected))

    def _select(self, index: int, stack: ExitStack) -> tuple[Selected, ...]:
        vertex = self.plan.vertices[index]
        for source in vertex.inputs[1:] if isinstance(vertex.op, Copy) else ():
            self.bases.unpack(index, source)
        try:
            return self.selections.open(index, self.lookup.solved, self.keys.by_index, stack)
        # Not failures of this step: one that was reported, an interruption, and the need for another process.
        except (StepFailed, Cancelled, TreesNeeded):
            raise
        except (BuildError, OciError, RuntimeHostError, OSError) as error:
            raise self.steps.failed(index, error) from error

    def _execute(self, index: int, selected: tuple[Selected, ...]) -> BuiltLayer:
        from pybuild.builder.execute.job import Job, Work
        from pybuild.builder.execute.ops import execute

        vertex = self.plan.vertices[index]
        if isinstance(vertex.op, Run):
            for source in vertex.inputs:
                self.bases.unpack(index, source)
        with self.steps.running(index), storing(self.store.root):
            settings, host = self.settings
            if note := read_again(selected):
                self.steps.output(index)(2, note.encode())
            job = Job(
                op=vertex.op,
                root=self.lookup.rootfs(index) or Layers(),
                inputs=tuple(self.lookup.solved.get(source) for source in vertex.inputs),
                settings=settings,
                ignore_cache=index in self.freshness.to_run,
            )
            work = Work(
                job=job,
                host=host,
                store=self.store,
                selected=selected,
                output=self.steps.output(index),
                status=self.steps.status(index),
                cancel=self.cancel,
                is_first=self.first_times.is_first,
                before=self.before.get(index),
                after=self.after.get(index),
            )
            layer = (self.execute or execute)(work)
            self.steps.note_layer(index, layer)
            return layer

    def _take_from_cache(self, index: int) -> bool:
        """Return whether a vertex is cached; report it when it is."""
        if self.lookup.find(index) is None:
            return False
        self._report_cached(index)
        return True

    def _report_cached(self, index: int) -> None:
        """Report a vertex as cached, with its layer when that is known."""
        layers = () if isinstance(self.plan.vertices[index].op, Base) else self.lookup.solved.get(index)
        self.steps.report_cached(index, layers[-1] if layers else None)
