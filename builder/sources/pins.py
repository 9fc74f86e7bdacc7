"""Pins of remote sources: what each address means in this build, looked up once.

A plan remembers its pins under the names that `pin_name` returns, and is valid while `Remotes.holds` is true of them. A
source that is named by its content (a known checksum, a full commit) needs no lookup and has no pin.
"""

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.progress import silent
from pybuild.builder.reporter import Reporter, RunningStep
from pybuild.builder.request import Execution
from pybuild.builder.store.store import Store

if TYPE_CHECKING:
    # Imported where they are used: a plan that was remembered has seldom a remote source.
    from pybuild.builder.sources.address import GitSource, HttpSource, RemoteSource
    from pybuild.builder.sources.server_answers import KnownFile, ResolvedName

_PARALLEL = 4
_HTTP, _GIT = "http ", "git "
_TAGS = "refs/tags/"


class Remotes:
    """The remote sources of one build. May be used by several threads."""

    def __init__(self, execution: Execution, store: Store, reporter: Reporter | None = None) -> None:
        self.execution, self.store = execution, store
        self.reporter = reporter or Reporter(silent)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: dict[str, KnownFile | ResolvedName | BuildError] = {}

    def pin(self, source: "RemoteSource") -> Http | Git:
        """Return the op that fetches what *source* means now.

        Raises:
            BuildError: the lookup failed, or the result does not match the checksum.
        """
        from pybuild.builder.sources.address import GitSource, HttpSource
        from pybuild.builder.sources.server_answers import KnownFile, ResolvedName

        question = _question(source)
        with self._lock:
            answer = self._answers.get(question)
        if answer is None:
            answer = self._ask(source)
            with self._lock:
                self._answers[question] = answer
        match source, answer:
            case _, BuildError():
                raise answer
            case HttpSource(), KnownFile():
                return Http(digest=answer.digest, name=source.name, mtime=answer.mtime, url=source.url)
            case GitSource(), ResolvedName():
                return _git_op(source, answer)
            case _:
                raise AssertionError(f"no answer to {question}")

    def pin_all(self, sources: Iterable["RemoteSource"]) -> None:
        """Look up all of *sources* at the same time; `pin` returns or raises the result of each."""
        missing = {_question(source): source for source in sources if _question(source) not in self._answers}
        if len(missing) < 2:
            return
        from pybuild.runtime.stopping import pool

        with pool(_PARALLEL) as threads:
            try:
                for future in [threads.submit(self._try, source) for source in missing.values()]:
                    future.result()
            finally:
                # After an interrupt the threads end at their next chunk.
                self._stop.set()
        self._stop.clear()

    def _try(self, source: "RemoteSource") -> None:
        try:
            self.pin(source)
        except BuildError:
            return

    def holds(self, name: str, pin: str) -> bool:
        """Return whether *name* is still pinned to *pin*. False also when the lookup fails: a new plan reports why."""
        from pybuild.builder.sources.address import parse

        source = parse(name.removeprefix(_HTTP).removeprefix(_GIT))
        try:
            return source is not None and pin_of(self.pin(source)) == pin
        except BuildError:
            return False

    def _ask(self, source: "RemoteSource") -> "KnownFile | ResolvedName | BuildError":
        from pybuild.builder.sources.address import HttpSource

        try:
            return self._ask_web(source) if isinstance(source, HttpSource) else self._ask_repository(source)
        except BuildError as error:
            return error

    def _ask_web(self, source: "HttpSource") -> "KnownFile":
        from pybuild.builder.request.step_settings import host_inputs
        from pybuild.builder.sources.http import Fetching, ask, known_by_checksum

        known = known_by_checksum(source, self.store)
        if known is None:
            with self._step(source) as step:
                fetching = Fetching(report=step.status, tell=step.say, stop=self._stop)
                known = ask(source, host_inputs(self.execution), self.store, fetching)
        return known

    def _ask_repository(self, source: "GitSource") -> "ResolvedName":
        from pybuild.builder.sources.server_answers import ResolvedName

        if source.commit:
            return ResolvedName(commit=source.commit)
        from pybuild.builder.request.step_settings import host_inputs
        from pybuild.builder.sources.git import GitProgram as Program

        with self._step(source):
            return Program(host_inputs(self.execution), source.url, self._stop.is_set).resolve(source)

    def _step(self, source: "RemoteSource") -> AbstractContextManager[RunningStep]:
        return self.reporter.step(f"[internal] load metadata for {source.label}")


def _question(source: "RemoteSource") -> str:
    """Return the part of *source* that determines the answer of its server, as a key."""
    from pybuild.builder.sources.address import HttpSource

    if isinstance(source, HttpSource):
        return f"{source.url} {source.checksum}"
    return f"{source.url} {source.commit or source.ref}"


def _git_op(source: "GitSource", resolved: "ResolvedName") -> Git:
    known = (resolved.commit, resolved.tag_object)
    if source.checksum and not any(name.startswith(source.checksum) for name in known if name):
        raise BuildError(f"expected checksum to match {source.checksum}, got {resolved.commit}")
    return Git(
        commit=resolved.commit,
        subdir=source.subdir,
        keep_git_dir=source.keep_git_dir,
        submodules=source.submodules,
        tag=resolved.name if source.keep_git_dir and resolved.name.startswith(_TAGS) else "",
        url=source.url,
        ref=resolved.name,
    )


def pin_name(source: "RemoteSource") -> str:
    """Return the name under which a plan remembers the pin of *source*; "" when it cannot change."""
    from pybuild.builder.sources.address import HttpSource

    if isinstance(source, HttpSource):
        return "" if source.checksum else f"{_HTTP}{source.url}"
    if source.commit:
        return ""
    return f"{_GIT}{source.url}" + (f"#{source.ref}" if source.ref else "")


def pin_of(op: Http | Git) -> str:
    """Return the value that must stay the same for a plan to be valid."""
    return op.commit if isinstance(op, Git) else f"{op.digest} {op.mtime}"


def is_pin(name: str) -> bool:
    """Return whether *name* is that of a remote source, not of an image."""
    return name.startswith((_HTTP, _GIT))
