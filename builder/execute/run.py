"""RUN: a command in a sandbox. The layer consists of what the command changed in the rootfs."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import PurePosixPath

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.execute.image_command import mistake
from pybuild.builder.execute.job import Work
from pybuild.builder.execute.mounts import agent_env, mounts
from pybuild.builder.execute.networks import prepared
from pybuild.builder.execute.process_rights import binds, with_rights
from pybuild.builder.execute.rootfs import OtherTimes, Rootfs
from pybuild.builder.execute.secrets import Redactor, find_secrets
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.plan.ops import Run
from pybuild.builder.platforms import is_native, wanted_platform
from pybuild.builder.request.step_settings import HostInputs, StepSettings, rights_of
from pybuild.builder.store.notices import tell_once
from pybuild.grammar.parse_go import quote
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs import roots
from pybuild.runtime.running import run as run_sandbox
from pybuild.runtime.sandbox.spec import ExitStatus, FileMount, Mount, Network, Process, ResourceLimits, Spec
from pybuild.runtime.values import fields


class CommandFailed(BuildError):
    """The command of a RUN ended without success."""

    def __init__(self, args: tuple[str, ...], status: ExitStatus) -> None:
        # A long script is shortened to one line; the excerpt of the Dockerfile shows it in full.
        text = quote(" ".join(args))
        super().__init__(f"process {text} did not complete successfully: exit code: {status.shell_code}")
        self.exit_code = status.shell_code


class StepTooLong(BuildError):
    """The command of a RUN was killed because it took longer than *seconds*."""

    def __init__(self, seconds: float) -> None:
        from pybuild.builder.deadline import shown

        super().__init__(f"the step took longer than {shown(seconds)} (--step-timeout)")


class _Watch:
    """Tells the sandbox to end when the build is cancelled, or *seconds* after the watch was made."""

    def __init__(self, cancel: threading.Event, seconds: float | None) -> None:
        self.late = False
        self._cancel = cancel
        self._end = None if seconds is None else time.monotonic() + seconds

    def is_set(self) -> bool:
        self.late = self.late or (self._end is not None and time.monotonic() >= self._end)
        return self.late or self._cancel.is_set()


def run(op: Run, work: Work) -> Layer:
    """Run the command and commit what it changed, as a layer and as the snapshot that the next step starts from.

    Raises:
        CommandFailed: the exit code is not 0. Nothing is kept.
        StepTooLong: the command was killed because it exceeded the time limit of a step.
        SandboxError: the sandbox could not be made.
        SandboxUnavailable: the platform is not that of this host, and no emulator runs its programs.
        Cancelled: the build was interrupted meanwhile.
    """
    if not is_native(wanted_platform(op.platform)):
        from pybuild.builder.execute.emulation import need_emulator

        need_emulator(op.platform, work.store.root / "tmp")
    with prepared(op, work.say, partial(tell_once, work.store)) as network:
        try:
            return _run(op, work, network)
        except OtherTimes:
            # Its tree is gone, so that this time the rootfs is unpacked from the layers of the step before.
            return _run(op, work, network)


def _run(op: Run, work: Work, network: Callable[[], Network]) -> Layer:
    with Rootfs(work) as rootfs:
        status = _run_command(op, work, network, work.store.snapshots.root(rootfs.tree))
        # Before the status is looked at: that of a cancelled command says only that it was killed.
        if work.cancel.is_set():
            raise Cancelled("interrupted")
        if status != ExitStatus(code=0):
            raise CommandFailed(op.args, status)
        rootfs.settle()
        rootfs.offer()
        return _commit(work, rootfs)


def _run_command(op: Run, work: Work, network: Callable[[], Network], root: roots.Root) -> ExitStatus:
    settings, host = work.job.settings, work.host
    with ExitStack() as stack:
        secrets = find_secrets(op, host)
        # Of two with one name the later one counts. Proxies win over ENV, as in BuildKit.
        env = (*op.env, *op.proxies, *agent_env(op), *secrets.env)
        spec = Spec(
            root=root,
            process=Process(args=op.args, env=env, cwd=op.cwd, user=op.user),
            mounts=(*mounts(op, work, stack), *secrets.mounts, *_added_mounts(settings, host)),
            limits=_limits(settings, host),
            network=network(),
            hostname=op.hostname,
            hosts=op.hosts,
            insecure=op.security == "insecure",
        )
        return _run_in_sandbox(with_rights(spec, rights_of(settings, host)), work, secrets.values)


def _limits(settings: StepSettings, host: HostInputs) -> ResourceLimits:
    """Return the limits of a RUN as a value of the sandbox, whose fields have the same names."""
    limits = {each.name: getattr(settings.resources, each.name) for each in fields(settings.resources)}
    return ResourceLimits(**{**limits, "cgroup_parent": host.cgroup_parent})


def _run_in_sandbox(spec: Spec, work: Work, secrets: tuple[bytes, ...]) -> ExitStatus:
    output = Redactor(secrets, work.output) if secrets else None
    seconds = work.job.settings.step_timeout
    watch = _Watch(work.cancel, seconds)
    try:
        started = None if work.before is None else work.before.note_start
        status = run_sandbox(spec, output=output or work.output, cancel=watch, started=started)
    except SandboxError as error:
        if (found := mistake(error, lambda: Root(work.open_root()))) is not None:
            raise found from error
        raise
    finally:
        if output is not None:
            output.finish()
    if watch.late and seconds is not None and status != ExitStatus(code=0) and not work.cancel.is_set():
        raise StepTooLong(seconds)
    return status


def _commit(work: Work, rootfs: Rootfs) -> Layer:
    tree = rootfs.tree
    with Root.open_host(tree.directory) as directory, work.writer() as writer:
        pack_changes(writer, directory.fd, work.store.snapshots.changes(tree, work.open_root), clamp_tree=True)
        layer = writer.commit()
    # The store keeps one set of fractions of seconds for a layer. When it already has another set for the same diff ID,
    # the snapshot would differ from it, so it is dropped, and the next step unpacks the layer.
    if work.store.times.put(str(layer.diff_id), layer.nanoseconds):
        rootfs.commit(work.store.times.snapshot_names((*work.wait_for_root().diff_ids, layer.diff_id))[-1])
    return layer


_RESOLV_CONF = PurePosixPath("/etc/resolv.conf")


def _added_mounts(settings: StepSettings, host: HostInputs) -> tuple[Mount, ...]:
    """Return the mounts that the command line adds to those of the Dockerfile: volumes, and /etc/resolv.conf."""
    mounts = binds(host.volumes)
    if not settings.resolv_conf:
        return mounts
    return (*mounts, FileMount(target=_RESOLV_CONF, content=settings.resolv_conf.encode()))
