"""A stand-in for the executor: RUN does what its text says, without a sandbox; COPY and WORKDIR are the real ones.

write PATH TEXT     a layer with one file
count PATH          a layer with one file that is different each time: a command that is not reproducible
meet                wait until as many such steps run at once as `FakeExecute.meeting` has parties
interrupt           as if the user pressed Ctrl-C while the step runs
fail                end without success
"""

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybuild.builder.content.context import read_ignore_text, with_surroundings
from pybuild.builder.definition.load import read_dockerfile
from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.execute.job import Work
from pybuild.builder.execute.ops import execute as real_execute
from pybuild.builder.execute.ops import recorded
from pybuild.builder.graph.planning import plan_all
from pybuild.builder.image.assemble import ImageTimes, assemble
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.plan.ops import Copy, Mkdir, Op, Run
from pybuild.builder.plan.plan import Graph, Plan
from pybuild.builder.progress import Event
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Request
from pybuild.builder.solve.solver import SolveSettings, solve
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from tests.helpers.contexts import write_context
from tests.helpers.waiting import PATIENCE


@dataclass(slots=True)
class FakeExecute:
    """Carries out ops and records them, in order."""

    calls: list[str] = field(default_factory=list)
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def __call__(self, work: Work) -> BuiltLayer:
        op = work.job.op
        with self._lock:
            self.calls.append(_told(op))
            self._count += 1
            count = self._count
        if not isinstance(op, Run):
            return real_execute(work)
        match op.args[-1].split():
            case ["write", path, *words]:
                return _one_file(work, path, " ".join(words))
            case ["count", path]:
                return _one_file(work, path, f"{os.getpid()} {count}")
            case ["meet", *_]:
                self.meeting.wait(PATIENCE)
                return _one_file(work, "met", "")
            case ["interrupt"]:
                # Again, because Python may miss a signal that comes just as its main thread falls asleep.
                os.kill(os.getpid(), signal.SIGINT)
                while not work.cancel.wait(1):
                    os.kill(os.getpid(), signal.SIGINT)
                raise Cancelled("stopped")
            case _:
                raise BuildError("it went wrong", hint="do better")

    def taken(self) -> list[str]:
        """What was asked since the last time."""
        calls, self.calls = self.calls, []
        return calls


def _told(op: Op) -> str:
    match op:
        case Run():
            return op.args[-1]
        case Copy():
            return f"copy to {op.destination}"
        case Mkdir():
            return f"make {op.path}"
        case _:
            return type(op).__name__


def _one_file(work: Work, path: str, text: str) -> BuiltLayer:
    data = text.encode()
    with work.writer() as layer:
        layer.add(Entry(path=path.lstrip("/"), kind=EntryKind.FILE, size=len(data)), data)
        return recorded(layer.commit(), work.job.settings.source_date_epoch)


@dataclass(slots=True, kw_only=True)
class Site:
    """A store, a build context and a fake executor: where builds of a test happen."""

    store: Store
    context: Path
    execute: FakeExecute = field(default_factory=FakeExecute)
    events: list[Event] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the build context."""
        write_context(self.context, files)

    def solve(self, dockerfile: str = "", **request: Any) -> Layers:
        """Build as far as the layers; *dockerfile* is written first."""
        if dockerfile:
            self.write({"Dockerfile": dockerfile})
        asked = Request.of(context=self.context, **request)
        settings = SolveSettings(files=asked.files, execution=asked.execution, caches=asked.caches)
        graph, reporter = Graph.of(self._plan(asked)), Reporter(self.events.append)
        return solve(graph, settings, self.store, reporter, self.execute).layers[0]

    def _plan(self, asked: Request) -> Plan:
        remotes = Remotes(asked.execution, self.store)
        definition = with_surroundings(read_dockerfile(asked.files), asked.files, read_ignore_text(asked.files))
        return plan_all(definition, [asked.planning], remotes)[0]

    def image(self, dockerfile: str = "", **request: Any) -> Image:
        """Build the whole image."""
        layers = self.solve(dockerfile, **request)
        asked = Request.of(context=self.context, **request)
        plan = self._plan(asked)
        config = ImageConfig.from_json(plan.config.encode())
        times = ImageTimes(planned=plan.created, epoch=asked.execution.source_date_epoch)
        return assemble(config, layers, self.store.blobs, times)

    def ran(self, dockerfile: str = "", **request: Any) -> list[str]:
        """Build, and return what had to be carried out for it."""
        self.execute.taken()
        self.solve(dockerfile, **request)
        return self.execute.taken()
