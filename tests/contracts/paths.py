"""Paths of three values through a build: `python -m tests.contracts.paths` prints the modules that receive each.

The values are the path of the context, the text of the Dockerfile, and the layer of its COPY. A module *receives* a
value when one of its functions is called with it, or gets it from a function of another module; a frozen value, a
collection or an error that holds the value counts as the value. A *step back up* is a pair of modules: a function of
one returns the value to a function of the other. Each pair counts once, so that the figures depend on the code only,
and not on the number of files or threads. `test_paths.py` holds the limits.
"""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pybuild.builder.build import build
from pybuild.builder.graph.planner_process import GraphProcess
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import read_image
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.request import Request
from pybuild.builder.store.store import Store
from pybuild.runtime.values import fields, is_value
from tests.contracts.structure import REPOSITORY, ROOTS

_TEXT = "FROM scratch\nCOPY file /\nENV A=b\n"
_ALL_VALUES = {"runtime.values", "runtime.introspection"}
"""Modules with the methods that all frozen values share: they receive every value, and decide nothing."""


@dataclass
class Trace:
    """Where a value went: the modules that received it, in order, and the pairs (from, to) of its steps back up."""

    is_it: Callable[[object], bool]
    modules: dict[str, None] = field(default_factory=dict)
    steps_up: dict[tuple[str, str], None] = field(default_factory=dict)
    _known: dict[int, tuple[object, bool]] = field(default_factory=dict)

    def is_in(self, item: object) -> bool:
        """Return whether *item* is the value or holds it."""
        if id(item) not in self._known:
            # The item is kept, so that no other one gets its id. A loop ends here: it is not in the item so far.
            self._known[id(item)] = item, False
            self._known[id(item)] = item, self.is_it(item) or any(map(self.is_in, _parts(item)))
            if isinstance(item, list | dict):  # may hold it later
                return self._known.pop(id(item))[1]
        return self._known[id(item)][1]


def _parts(item: Any) -> Iterable[object]:
    if isinstance(item, tuple | list | frozenset):
        return item
    if isinstance(item, dict):
        return item.values()
    if isinstance(item, BaseException):
        return item.args
    return (getattr(item, each.name, None) for each in fields(item)) if is_value(item) else ()


def traces() -> dict[str, Trace]:
    """Build a small Dockerfile, and return the trace of each value by its name."""
    with tempfile.TemporaryDirectory() as directory, _graph_in_this_process():
        context = Path(directory, "context")
        context.mkdir()
        context.joinpath("file").write_text("content")
        context.joinpath("Dockerfile").write_text(_TEXT)
        layer = _layer(Path(directory, "first"), context)
        found = {
            "context path": Trace(lambda item: isinstance(item, str | Path) and os.fspath(item) == str(context)),
            "text of the Dockerfile": Trace(lambda item: item in (_TEXT, _TEXT.encode())),
            "layer": Trace(lambda item: item in layer),
        }
        with Store.open(Path(directory, "second")) as store, profiled(tuple(found.values())):
            build(_request(context, Path(directory, "archive")), store)
    return found


def _request(context: Path, archive: Path) -> Request:
    return Request.of(context=context, tags=("traced",), source_date_epoch=1, outputs=(OciOutput(dest=archive),))


def _layer(root: Path, context: Path) -> tuple[Digest, Digest]:
    """Build with a new store at *root*; return the two digests of the layer, which each such build has."""
    with Store.open(root) as store:
        image = read_image(store.blobs, build(_request(context, root.with_suffix(".tar")), store).descriptor)
        return image.manifest.layers[0].digest, image.config.diff_ids[0]


@contextmanager
def _graph_in_this_process() -> Iterator[None]:
    """Let no other process parse and plan, where the trace would not see the values."""
    before, GraphProcess.was_started = GraphProcess.was_started, True
    try:
        yield
    finally:
        GraphProcess.was_started = before


@contextmanager
def profiled(followed: tuple[Trace, ...]) -> Iterator[None]:
    """Record the calls and returns of all threads in *followed*."""

    def profile(frame: FrameType, event: str, returned: Any) -> None:
        if event not in {"call", "return"} or not (module := _module(frame.f_code)):
            return
        if event == "call":
            arguments = tuple(frame.f_locals.get(name) for name in _arguments(frame.f_code))
            for trace in followed:
                if module not in trace.modules and any(map(trace.is_in, arguments)):
                    trace.modules[module] = None
        elif returned is not None and (caller := _caller(frame)) not in {module, ""}:
            for trace in followed:
                if trace.is_in(returned):
                    trace.modules[caller] = trace.steps_up[module, caller] = None

    before = sys.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


@cache
def _module(code: CodeType) -> str:
    """Return the name of the module of ours that *code* is in, "" for another one."""
    path = Path(code.co_filename).resolve()
    if not path.is_relative_to(REPOSITORY):
        return ""
    inside = path.relative_to(REPOSITORY).with_suffix("")
    name = ".".join(inside.parts).removesuffix(".__init__")
    return name if inside.parts[0] in ROOTS and name not in _ALL_VALUES else ""


def _arguments(code: CodeType) -> tuple[str, ...]:
    starred = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + starred]


def _caller(frame: FrameType) -> str:
    """Return the module of ours that called *frame*, through the standard library or not."""
    caller = frame.f_back
    while caller is not None:
        if name := _module(caller.f_code):
            return name
        caller = caller.f_back
    return ""


def main() -> None:
    """Print the trace of each value."""
    for name, trace in traces().items():
        lines = [f"{name}: {len(trace.modules)} modules, {len(trace.steps_up)} steps back up", *trace.modules]
        lines += [f"back up: {source} -> {caller}" for source, caller in trace.steps_up]
        sys.stdout.write("\n    ".join(lines) + "\n\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
    main()
