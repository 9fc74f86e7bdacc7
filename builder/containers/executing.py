"""Commands in a container that runs: that of ``exec``, and that of its health check."""

import os

from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.errors import ContainerError, NotStarted
from pybuild.builder.containers.names import new_id
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import EVERY
from pybuild.runtime.monitor.settings import Health, HealthTimes, InsideCommand
from pybuild.runtime.monitor.starting import NoMonitor, connected, fork_inside
from pybuild.runtime.records import encode, memory_file
from pybuild.runtime.sandbox.child import Child, Fork, Output
from pybuild.runtime.sandbox.inside.command_errors import ENTERING, mistake
from pybuild.runtime.sandbox.inside.plan import NULL, PIPE, TERMINAL
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.sandbox.results import result_of
from pybuild.runtime.values import frozen

_NOT_THERE = 127
_INTERVAL, _START_INTERVAL, _RETRIES = 30_000_000_000, 5_000_000_000, 3
"""Docker's defaults for a health check: two intervals in nanoseconds, and the number of failures."""


@frozen
class Inside:
    """The command. *env* is added to that of the container, whose user and working directory are the defaults."""

    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    working_dir: str = ""
    interactive: bool = False
    terminal: bool = False
    privileged: bool = False


def execute(container: StoredContainer, inside: Inside, output: Output | None) -> int:
    """Run a command in *container*, pass its output to *output*, and return its exit code.

    Without *output* it is started in the background, and 0 is returned.

    Raises:
        ContainerError: the container does not run, or is paused, or the user does not exist in it.
        NotStarted: the working directory cannot be entered.
    """
    state = container.state
    if state.status == "paused":
        raise ContainerError(f"Container {container.id} is paused, unpause the container before exec")
    if state.status == "restarting":
        raise ContainerError(f"Container {container.id} is restarting, wait until the container is running")
    if state.status != "running":
        raise ContainerError(f"container {container.id} is not running")
    data = encode(command_in(container, inside))
    words = " ".join(inside.words)
    identity = new_id()
    container.log_event(f"exec_create: {words}", execID=identity)
    container.log_event(f"exec_start: {words}", execID=identity)
    try:
        with connected(container.directory) as channel:
            code = _run(data, lambda descriptors: fork_inside(channel, descriptors), inside, output)
    except NoMonitor as error:
        raise ContainerError(f"container {container.id} is not running") from error
    except SandboxError as error:
        if not (text := mistake(error.operation, error.path, error.errno, str(error))):
            raise
        raise (NotStarted(text, _NOT_THERE) if error.operation == ENTERING else ContainerError(text)) from error
    if output is not None:
        container.log_event("exec_die", execID=identity, exitCode=f"{code}")
    return code


def _run(data: bytes, fork: Fork, inside: Inside, output: Output | None) -> int:
    if output is None:
        _start_in_background(data, fork)
        return 0
    reports = _child(data, fork, inside).run_to_end(output)
    return result_of([report for report in reports if report.kind != "degraded"]).shell_code


def _child(data: bytes, fork: Fork, inside: Inside) -> Child:
    if inside.terminal:
        from pybuild.runtime.sandbox.console import TerminalChild

        return TerminalChild(data, typed=inside.interactive, fork=fork)
    if inside.interactive:
        from pybuild.runtime.sandbox.stdin import FedChild

        return FedChild(data, fork=fork)
    return Child(data, fork=fork)


def _start_in_background(data: bytes, fork: Fork) -> None:
    """Start the command in the background, with all streams on /dev/null."""
    plan = memory_file(data)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.close(fork((plan, null, null, null, null)))
    finally:
        os.close(plan)
        os.close(null)


def command_in(container: StoredContainer, inside: Inside) -> InsideCommand:
    """Return *inside* in the form that the monitor of *container* takes."""
    program = container.config.program
    variables = {
        **dict(container.config.environment()),
        **({"TERM": "xterm"} if inside.terminal else {}),
        **dict(inside.env),
    }
    user = program.user if inside.user is None else inside.user
    process = Process(
        args=tuple(map(os.fsencode, inside.words)),
        # The monitor replaces this by the confinement of the container.
        confinement=Confinement(
            capabilities=EVERY, insecure=inside.privileged, no_new_privileges=False, rlimits=(), seccomp=b""
        ),
        cwd=os.fsencode(inside.working_dir or program.working_dir or "/"),
        env=tuple((os.fsencode(name), os.fsencode(value)) for name, value in variables.items()),
        user=os.fsencode(user),
        user_groups=tuple(map(os.fsencode, container.config.host.group_add)),
        oom_score_adj=container.config.host.namespaces.oom_score_adj,
    )
    stdio = TERMINAL if inside.terminal else PIPE if inside.interactive else NULL
    return InsideCommand(privileged=inside.privileged, process=process, stdio=stdio)


def health_order(container: StoredContainer) -> Health | tuple[()]:
    """Return the health check of a container, () when there is none."""
    check = container.config.program.healthcheck
    words = () if check is None else check.test
    if check is None or not words or words[0] == "NONE":
        return ()
    # As in Docker, by the shell that SHELL names, also for a check of the command line.
    shell = (container.config.program.shell or ("/bin/sh", "-c")) if words[0] == "CMD-SHELL" else ()
    words = (*shell, *words[1:])
    return Health(
        command=encode(command_in(container, Inside(words=words))),
        retries=check.retries or _RETRIES,
        times=HealthTimes(
            interval=check.interval or _INTERVAL,
            start_interval=check.start_interval or _START_INTERVAL,
            start_period=check.start_period,
            timeout=check.timeout or _INTERVAL,
        ),
    )
