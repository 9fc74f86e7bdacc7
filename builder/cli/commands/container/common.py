"""What the commands about containers share: opening the store, and an action on each of several names."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Semaphore, Thread

from pybuild.builder.cli.failures import FAILED, describe
from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.tools import put_error, say, store
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.lifecycle import settle_all, stop_by_settings
from pybuild.builder.containers.namespace import need_sandbox
from pybuild.builder.errors import BuildError, PullFailed, PybuildError, RequestError
from pybuild.builder.oci.errors import OciError
from pybuild.builder.signals import signal_number
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.values import frozen

_AT_ONCE = 50  # as many as docker
FAILURES = (BuildError, PybuildError, OciError, RuntimeHostError)


@contextmanager
def opened_containers() -> Iterator[Containers]:
    """Open the store, and first record the end of containers whose monitors are gone.

    Raises:
        SandboxUnavailable: this user cannot have containers on this host.
        ContainerError: in place of a RequestError or PullFailed of the body, for the exit code of docker.
    """
    need_sandbox()
    opened = store()
    try:
        containers = Containers(opened)
        settle_all(containers)
        yield containers
    except (RequestError, PullFailed) as error:
        # When docker's daemon refuses a request, docker exits with 1, not with the code of a wrong command line.
        raise ContainerError(error.message, hint=error.hint) from None
    finally:
        opened.close()


def for_each_container(
    names: Iterable[str], action: Callable[[StoredContainer], object], containers: Containers, *, at_once: bool = False
) -> int | None:
    """Call *action* with each named container, print the names as they were given, and return the exit code.

    With *at_once* the actions do not wait for each other.
    """

    def act(name: str) -> None:
        action(containers.find(name))

    done = begin_each(names, act) if at_once else act

    def act_and_say(name: str) -> None:
        done(name)
        say(name)

    return for_each(names, act_and_say)


def begin_each(names: Iterable[str], action: Callable[[str], object]) -> Callable[[str], None]:
    """Call *action* with each of *names*, in threads.

    Return a function that waits until the action with a name has ended, and raises the exception that it raised.
    """
    begun = {name: _Begun(action, name) for name in names}
    return lambda name: begun[name].finish()


class _Begun:
    """An action with a name, in a thread that ends with the process when the user interrupts it."""

    _slots = Semaphore(_AT_ONCE)

    def __init__(self, action: Callable[[str], object], name: str) -> None:
        self._action, self._name = action, name
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True)
        # Here and not in the thread: names that have to wait need no thread yet.
        self._slots.acquire()
        self._thread.start()

    def _run(self) -> None:
        try:
            self._action(self._name)
        except Exception as error:  # noqa: BLE001 - raised again in `finish`
            self._error = error
        finally:
            self._slots.release()

    def finish(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


def for_each(names: Iterable[str], action: Callable[[str], object]) -> int | None:
    """Call *action* with each of *names*, report failures without stopping, and return the exit code."""
    failed = False
    for name in names:
        try:
            action(name)
        except FAILURES as error:
            failed = True
            put_error(describe(error).text)
    return FAILED if failed else None


@frozen
class StopFlags:
    """The flags of commands that stop containers."""

    signal: str | None = option(
        "-s", "--signal", metavar="SIGNAL", help="Signal to send (default: that of the container)."
    )
    seconds: int | None = option(
        "-t",
        "--time",
        "--timeout",
        type=int,
        metavar="SECONDS",
        help="Seconds to wait before killing the container.",
    )

    def stopping(self) -> Callable[[StoredContainer], None]:
        """Return what stops a container as the flags say. Raises RequestError for an unknown signal."""
        if self.signal:
            signal_number(self.signal)
        return lambda container: stop_by_settings(container, self.signal, self.seconds)
