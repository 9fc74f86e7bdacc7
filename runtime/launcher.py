"""The parent half of the sandbox: starts the child, passes its output on, and turns its reports into a result."""

import os
import select
import subprocess
import threading
from collections.abc import Callable
from posixpath import normpath

from runtime import mounts, plan, process, spec
from runtime.cgroups import limited
from runtime.errors import RuntimeHostError, SandboxError
from runtime.hostfiles import host_files
from runtime.interpreter import child_argv, child_environment, interpreter
from runtime.privileges import explain
from runtime.seccomp import default_filter
from runtime.wire import encode

Output = Callable[[int, bytes], None]

_CANCEL_INTERVAL_MS = 50
_CANCEL_PATIENCE = 100
_PIECE = 1 << 16
_LAST_PIECES = 16  # the most that a pipe can hold
_SIGKILL = 9
_RLIMITS = (
    *("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile"),
    *("memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"),
)


def run(what: spec.Spec, *, output: Output, cancel: threading.Event | None = None) -> spec.ExitStatus:
    """Run the process of *what* in a new sandbox and return how it ended. Blocks; any number of threads may call it.

    *output* gets (1 or 2, bytes) as they come, in the calling thread. Setting *cancel* kills everything inside; the
    status is then that of SIGKILL. When this returns or raises, no process of the sandbox is left. A program that
    does not exist gives 127, one that cannot be executed 126, both with a line on stream 2.

    Raises:
        SandboxUnavailable: this host permits no sandbox.
        SandboxError: the sandbox could not be made, or the user, the working directory or a mount source is missing.
    """
    with limited(what.limits) as cgroup_files:
        data = encode(make_plan(what, tuple(os.fsencode(file) for file in cgroup_files)))
        child = _Child(data, interactive=what.interactive)
        try:
            reports = child.pump(output, cancel)
        finally:
            child.close()
    return _result(reports)


def _result(reports: list[plan.Report]) -> spec.ExitStatus:
    ended = None
    for report in reports:
        if report.kind == "failed" and report.subject == plan.NAMESPACES:
            raise explain(report.errno)
        if report.kind == "failed":
            raise SandboxError(report.subject, report.path, report.errno, _detail(report))
        if report.kind == "crashed":
            raise RuntimeHostError(f"sandbox: {report.subject}: {report.message}")
        ended = int(report.subject)
    if ended is None:
        # Nobody was left to report: init was killed, by cancel, by the kernel for lack of memory, or from outside.
        return spec.ExitStatus(signal=_SIGKILL)
    return spec.ExitStatus(code=ended) if ended >= 0 else spec.ExitStatus(signal=-ended)


def _detail(report: plan.Report) -> str:
    return report.message.removeprefix(f"{report.subject} {report.path}".strip() + ": ")


class _Child:
    """A running sandbox child and the pipes to it."""

    def __init__(self, data: bytes, *, interactive: bool) -> None:
        status, child_status = os.pipe()
        plan_fd = os.memfd_create("plan", os.MFD_CLOEXEC)
        stdio = None if interactive else subprocess.PIPE
        try:
            with open(plan_fd, "wb", closefd=False) as file:
                file.write(data)
            # PDEATHSIG is bound to this thread, which waits here until the child is gone.
            self._process = subprocess.Popen(
                child_argv(plan_fd, child_status),
                executable=f"/proc/self/fd/{interpreter()}",
                env=child_environment(),
                cwd="/",
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=stdio,
                stderr=stdio,
                pass_fds=(plan_fd, child_status, interpreter()),
            )
        except OSError as error:
            os.close(status)
            raise SandboxError("start", "the sandbox child", error.errno or 0) from error
        finally:
            os.close(plan_fd)
            os.close(child_status)
        self._status = status
        streams = ((1, self._process.stdout), (2, self._process.stderr))
        self._streams = {stream.fileno(): number for number, stream in streams if stream}
        self._reported = b""

    def pump(self, output: Output, cancel: threading.Event | None) -> list[plan.Report]:
        """Pass output on until every process inside is gone; return what the child reported."""
        poller = select.poll()
        for fd in (self._status, *self._streams):
            poller.register(fd, select.POLLIN)
        patience = _CANCEL_PATIENCE
        while True:
            ready = poller.poll(None if cancel is None else _CANCEL_INTERVAL_MS)
            for fd, _ in ready:
                data = os.read(fd, _PIECE)
                if not data:
                    poller.unregister(fd)
                if fd == self._status:
                    if not data:
                        return self._finish(poller, output)
                    self._reported += data
                elif data:
                    output(self._streams[fd], data)
            if cancel is not None and cancel.is_set():
                self._stop(patience)
                patience -= 1

    def _finish(self, poller: select.poll, output: Output) -> list[plan.Report]:
        """Pass on what is left in the pipes: all writers are gone, unless one handed its end to a host process."""
        for _ in range(_LAST_PIECES):
            for fd in [fd for fd, _ in poller.poll(0)]:
                if data := os.read(fd, _PIECE):
                    output(self._streams[fd], data)
                else:
                    poller.unregister(fd)
        return plan.read_reports(self._reported)

    def _stop(self, patience: int) -> None:
        # The keeper kills init and tidies up; one that is stuck in the kernel is killed with everything below it.
        if patience == _CANCEL_PATIENCE:
            self._process.terminate()
        elif patience == 0:
            self._process.kill()

    def close(self) -> None:
        """End the child if an exception came in between, and close the pipes."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        os.close(self._status)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


def make_plan(what: spec.Spec, cgroup_files: tuple[bytes, ...] = ()) -> plan.Plan:
    """Return *what* as the child takes it. Raises SandboxError for a limit that has no name in the kernel."""
    world = plan.World(
        cgroups=cgroup_files,
        hostname=os.fsencode(what.hostname),
        insecure=what.insecure,
        interactive=what.interactive,
        private_network=what.network is spec.Network.NONE,
        shm_size=what.limits.shm_size,
    )
    return plan.Plan(
        mounts=tuple(_mount(mount) for mount in (*host_files(what), *what.mounts)),
        parent=os.getpid(),
        process=_process(what),
        root=_root(what.root),
        world=world,
    )


def _process(what: spec.Spec) -> process.Process:
    confinement = process.Confinement(
        insecure=what.insecure,
        no_new_privileges=what.no_new_privileges,
        rlimits=_rlimits(what.limits),
        seccomp=b"" if what.insecure else default_filter(),
    )
    return process.Process(
        args=tuple(os.fsencode(arg) for arg in what.process.args),
        confinement=confinement,
        cwd=os.fsencode(what.process.cwd),
        env=tuple((os.fsencode(name), os.fsencode(value)) for name, value in what.process.env),
        user=os.fsencode(what.process.user),
    )


def _rlimits(limits: spec.Limits) -> tuple[tuple[bytes, int, int, int], ...]:
    # No core files: they would land in the layer, with every secret that the process had in memory.
    wanted = {"core": (0, 0)}
    for name, soft, hard in limits.ulimits:
        if name not in _RLIMITS:
            raise SandboxError("set resource limit", name, 22, "there is no such limit")
        wanted[name] = (soft, hard)
    return tuple((name.encode(), _RLIMITS.index(name), soft, hard) for name, (soft, hard) in wanted.items())


def _root(root: spec.Root) -> mounts.OverlayRoot | mounts.DirectoryRoot:
    match root:
        case spec.OverlayRoot(lowers=lowers, upper=upper, work=work):
            return mounts.OverlayRoot(
                lowers=tuple(os.fsencode(lower) for lower in lowers),
                upper=os.fsencode(upper) if upper else b"",
                work=os.fsencode(work) if work else b"",
            )
        case spec.DirectoryRoot(path=path, read_only=read_only):
            return mounts.DirectoryRoot(path=os.fsencode(path), read_only=read_only)


def _mount(mount: spec.Mount) -> mounts.Mount:
    target = os.fsencode(normpath("/" + str(mount.target).lstrip("/")))
    match mount:
        case spec.Bind():
            return mounts.Bind(os.fsencode(mount.host_path), mount.read_only, target)
        case spec.BindRoot():
            return mounts.BindRoot(mount.read_only, _root(mount.root), os.fsencode(mount.source), target)
        case spec.Tmpfs():
            return mounts.Tmpfs(mount.mode, mount.size, target)
        case spec.FileMount():
            return mounts.FileMount(mount.content, mount.gid, mount.mode, target, mount.uid)
