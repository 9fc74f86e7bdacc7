"""Carrying out a build request: the progress display, the build, and the files that its result is written to.

This module does not import click: the most common builds are read without it (`builder.cli.flags.fast_path`).
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybuild.builder.cli.tools import say, session
from pybuild.builder.cli.tools import store as open_store
from pybuild.builder.display.choose import MODES, OpenDisplay, open_display
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.progress import Event, Progress, Warned
from pybuild.builder.prune.policy import is_due
from pybuild.builder.request import Request
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    from pybuild.builder.deadline import Deadline


@frozen
class ReportSettings:
    """How a build is shown, and the files that its result is written to."""

    mode: str
    """One of `builder.display.choose.MODES`."""
    log_file: Path | None = None
    iidfile: Path | None = None
    iidfile_raw: Path | None = None
    metadata_file: Path | None = None


class Warnings:
    """Progress that collects the warnings of a build and passes every event on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.found: list[Warned] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, Warned):
            self.found.append(event)
        self._progress(event)


def carry_out(
    request: Request,
    report: ReportSettings,
    *,
    prepare: Callable[[], AbstractContextManager[Request]] | None = None,
    opened: Callable[[], Store] = open_store,
) -> int:
    """Build *request*, report, and return the exit code. *prepare* gives the request in a form that can be built."""
    with (
        deadline_of(request.execution.timeout) as deadline,
        log_to(report.log_file) as with_log,
        _display(report.mode) as display,
        prepare() if prepare is not None else nullcontext(request) as ready,
    ):
        watched = Warnings(with_log(display))
        outcome = _run_build(ready, watched, opened, display.tells_log, deadline)
    ids = "\n".join(str(each.image_id) for _, each in outcome.targets) or str(outcome.image_id)
    if (report.iidfile, report.iidfile_raw, report.metadata_file) != (None, None, None):
        _write_files(report, ids, outcome, watched)
    # When an output is written to standard output, nothing else may be.
    if report.mode == "quiet" and not any(output.streams for output in request.result.outputs):
        say(ids)
    return 0


def _write_files(report: ReportSettings, ids: str, outcome: Any, watched: Warnings) -> None:
    from pybuild.builder.cli.commands.build.metadata import metadata
    from pybuild.builder.outputs.files import replace_file

    if report.iidfile is not None:
        replace_file(report.iidfile, ids.encode())
    if report.iidfile_raw is not None:
        replace_file(report.iidfile_raw, ids.replace("sha256:", "").encode())
    if report.metadata_file is not None:
        replace_file(report.metadata_file, metadata(outcome, watched.found, os.environ))


def _display(mode: str) -> OpenDisplay:
    if mode not in MODES:
        raise RequestError(f"invalid BUILDKIT_PROGRESS {mode!r}", hint=f"use one of {', '.join(MODES)}")
    try:
        return open_display(mode, sys.stderr, os.environ)
    except ValueError as error:
        raise RequestError(str(error)) from error


@contextmanager
def log_to(path: Path | None) -> Iterator[Callable[[Progress], Progress]]:
    """Yield a function that makes a display also write the log to *path*, if there is one. Raises OSError."""
    if path is None:
        yield lambda shown: shown
        return
    from pybuild.builder.cli.failures import describe
    from pybuild.builder.display.log_file import log_file

    with log_file(path, lambda error: describe(error).text) as with_log:
        yield with_log


def deadline_of(timeout: float | None) -> "AbstractContextManager[Deadline | None]":
    """Return the deadline of a command, which includes the time to read its inputs; None when there is no limit."""
    if timeout is None:
        return nullcontext()
    from pybuild.builder.deadline import in_time

    return in_time(timeout)


def _build_function() -> Callable[..., Any]:
    """Return `builder.build.build`, or what a test replaces it with."""
    given = session().tools.build
    if given is not None:
        return given
    from pybuild.builder.build import build

    return build


def _run_build(
    request: Request,
    progress: Progress,
    opened: Callable[[], Store],
    shows_log: Callable[[], bool],
    deadline: "Deadline | None",
) -> Any:
    """Build *request* in the store that *opened* returns, then enforce the limits of the store, if that is due."""
    store = opened()
    try:
        if deadline is not None:
            # It runs already.
            request, progress = request.changed(timeout=None), deadline.watched(progress)
        outcome = _build_function()(request, store, progress)
    except (BuildError, DockerfileError) as error:
        from pybuild.builder.cli.failures import described

        raise described(error, logged=shows_log()) from error
    else:
        if deadline is not None:
            deadline.met = True
        if is_due(store.root):
            # Imported here: that is once an hour at most.
            from pybuild.builder.cli.housekeeping import tidy

            tidy(store)
        return outcome
    finally:
        store.close()
