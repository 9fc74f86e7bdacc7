"""Runs a `Spec`: translates it to the plan of a sandbox child, and turns the child's reports into a result."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from posixpath import normpath

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import DEFAULT, EVERY
from pybuild.runtime.records import encode
from pybuild.runtime.rootfs import roots
from pybuild.runtime.sandbox import spec
from pybuild.runtime.sandbox.cgroups import limited_with_notes
from pybuild.runtime.sandbox.child import CancelFlag, Child, Output
from pybuild.runtime.sandbox.forkserver_client import fork_child
from pybuild.runtime.sandbox.hostfiles import RESOLV_CONF, host_files
from pybuild.runtime.sandbox.inside import mounts, plan, privileges, process
from pybuild.runtime.sandbox.inside import root as child_roots
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.seccomp import default_filter
from pybuild.runtime.sandbox.isolation import STRICT, check_commands, is_single, wanted
from pybuild.runtime.sandbox.results import result_of
from pybuild.runtime.sandbox.signal_relay import SignalRelay
from pybuild.runtime.sandbox.supervising import record_owners, supervision_of
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from pybuild.runtime.values import replace

# In the order of their numbers (asm-generic/resource.h).
_RLIMITS = (
    *("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile"),
    *("memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"),
)


def run(
    sandbox: spec.Spec,
    *,
    output: Output,
    cancel: CancelFlag | None = None,
    signals: SignalRelay | None = None,
    started: Callable[[], None] | None = None,
) -> spec.ExitStatus:
    """Run the process of *sandbox* in a new sandbox and return how it ended. Blocks; any number of threads may call it.

    *output* is called with (1 or 2, bytes) in the calling thread; what a terminal shows is stream 1. Setting *cancel*
    kills everything inside, and the status is that of SIGKILL. With *signals*, an entered `SignalRelay`, signals of
    this process reach the program, and its `killed` takes the place of *cancel*. *started* is called when other
    processes prepare the sandbox, and this one waits. A program that does not exist gives
    127, one that cannot be executed 126, each with a line on stream 2. When this returns or raises, no process of the
    sandbox is left.

    Raises:
        SandboxUnavailable: this host permits no sandbox.
        SandboxError: the sandbox could not be made, or the user, the working directory or a mount source is missing.
    """
    check_commands()
    with limited_with_notes(sandbox.limits, output) as groups, _with_network(sandbox) as (resolved, network):
        made = make_plan(resolved, tuple(os.fsencode(file) for file in groups.files), network)
        spare_fits = made.settings.prepared_settings() == plan.DEFAULT_SETTINGS.prepared_settings()
        child = _start(encode(made), sandbox, spare_fits=spare_fits)
        if started is not None:
            started()
        reports = child.run_to_end(output, cancel, signals)
    for missing in (report.subject for report in reports if report.kind == "degraded"):
        _note_once(missing, output)
    record_owners([report.subject for report in reports if report.kind == "owner"])
    return result_of([report for report in reports if report.kind not in {"degraded", "owner"}])


@contextmanager
def _with_network(sandbox: spec.Spec) -> Iterator[tuple[spec.Spec, bytes]]:
    """Yield *sandbox* with the resolv.conf of its network, and the path of the namespace of a private one, else b""."""
    if sandbox.network is not spec.Network.PRIVATE:
        yield sandbox, b""
        return
    from pybuild.runtime.private_networks.pool import take

    with take() as made:
        servers = spec.FileMount(target=RESOLV_CONF, content=made.resolv_conf)
        # What the caller mounts there counts more than the name server of the network.
        own = any(mount.target == RESOLV_CONF for mount in sandbox.mounts)
        yield sandbox if own else replace(sandbox, mounts=(*sandbox.mounts, servers)), made.path


_MISSING = {
    plan.OWN_PROC: "this host permits no /proc of its own to a step: processes outside of the sandbox show in it",
    plan.PROC_FILES: "this host permits no /proc of its own to a step: there are only a few files in it",
    plan.OWN_ROOT: "this host permits no pivot_root: steps run after a chroot, without CAP_SYS_CHROOT",
}
_noted: set[str] = set()


def _note_once(missing: str, output: Output) -> None:
    """Write a note on a part that sandboxes lack on this host, if it is one of `_MISSING` and has not been noted."""
    if missing in _MISSING and missing not in _noted:
        _noted.add(missing)
        output(2, f"note: {_MISSING[missing]}\n".encode())


def _start(data: bytes, sandbox: spec.Spec, *, spare_fits: bool) -> Child:
    if sandbox.terminal:
        from pybuild.runtime.sandbox.console import TerminalChild

        return TerminalChild(data, typed=sandbox.interactive)
    if sandbox.interactive:
        from pybuild.runtime.sandbox.stdin import FedChild

        return FedChild(data)
    return Child(data, fork=partial(fork_child, spare_fits=spare_fits))


def make_plan(sandbox: spec.Spec, cgroup_files: tuple[bytes, ...] = (), network: bytes = b"") -> plan.SandboxPlan:
    """Return the plan by which the child runs *sandbox*, in the network namespace at the path *network*, b"" for none.

    Raises SandboxError for an unknown resource limit.
    """
    settings = plan.SandboxSettings(
        cgroups=cgroup_files,
        init=sandbox.init,
        isolation=plan.Isolation(
            insecure=sandbox.insecure,
            # With added capabilities, a process could leave a root set by chroot(2), or use a /proc that is the host's.
            strict=wanted() == STRICT or bool(sandbox.capabilities & ~DEFAULT),
            supervision=supervision_of(sandbox) if is_single() else None,
        ),
        namespaces=plan.SandboxNamespaces(
            hostname=os.fsencode(sandbox.hostname),
            network=network,
            private_network=sandbox.network is spec.Network.NONE,
            shared=tuple(map(os.fsencode, sandbox.shared)),
            sysctls=tuple((os.fsencode(name), os.fsencode(value)) for name, value in sandbox.sysctls),
        ),
        read_only=sandbox.read_only,
        shm_size=spec.SHM_SIZE if sandbox.limits.shm_size is None else sandbox.limits.shm_size,
        stdio=_stdio(sandbox),
    )
    return plan.SandboxPlan(
        mounts=tuple(mount_of(mount) for mount in (*host_files(sandbox), *sandbox.mounts)),
        process=process_of(sandbox),
        root=_root(sandbox.root),
        settings=settings,
    )


def _stdio(sandbox: spec.Spec) -> bytes:
    if sandbox.terminal:
        return plan.TERMINAL
    return plan.PIPE if sandbox.interactive else plan.NULL


def process_of(sandbox: spec.Spec) -> process.Process:
    """Return the process of *sandbox* in the form that the child takes. Raises SandboxError for an unknown limit."""
    confinement = privileges.Confinement(
        capabilities=EVERY if sandbox.insecure else sandbox.capabilities,
        insecure=sandbox.insecure,
        no_new_privileges=sandbox.no_new_privileges,
        rlimits=_rlimits(sandbox.limits),
        seccomp=_filter(sandbox),
    )
    return process.Process(
        args=tuple(os.fsencode(arg) for arg in sandbox.process.args),
        confinement=confinement,
        cwd=os.fsencode(sandbox.process.cwd),
        env=tuple((os.fsencode(name), os.fsencode(value)) for name, value in sandbox.process.env),
        user=os.fsencode(sandbox.process.user),
        user_groups=tuple(map(os.fsencode, sandbox.process.groups)),
        oom_score_adj=sandbox.process.oom_score_adj,
    )


def _filter(sandbox: spec.Spec) -> bytes:
    if sandbox.insecure:
        return b""
    return default_filter(sandbox.capabilities) if sandbox.seccomp is None else sandbox.seccomp


def _rlimits(limits: spec.ResourceLimits) -> tuple[tuple[bytes, int, int, int], ...]:
    # No core files: they would land in the layer, with every secret that the process had in memory.
    wanted = {"core": (0, 0)}
    for name, soft, hard in limits.ulimits:
        if name not in _RLIMITS:
            raise SandboxError("set resource limit", name, 22, "there is no such limit")
        wanted[name] = (soft, hard)
    return tuple((name.encode(), _RLIMITS.index(name), soft, hard) for name, (soft, hard) in wanted.items())


def _root(root: roots.Root) -> child_roots.Root:
    match root:
        case roots.OverlayRoot(lowers=lowers, upper=upper, work=work, lasting=lasting):
            return child_roots.OverlayRoot(
                lowers=tuple(os.fsencode(lower) for lower in lowers),
                upper=os.fsencode(upper) if upper else b"",
                userxattr=overlay_xattr_prefix().startswith("user."),
                work=os.fsencode(work) if work else b"",
                write_through=lasting,
            )
        case roots.DirectoryRoot(path=path, read_only=read_only):
            return child_roots.DirectoryRoot(path=os.fsencode(path), read_only=read_only)


def mount_of(mount: spec.Mount) -> mounts.Mount:
    """Return *mount* in the form that the child takes."""
    # One slash in front: POSIX lets two mean something else, and normpath keeps them.
    target = os.fsencode(normpath("/" + str(mount.target).lstrip("/")))
    match mount:
        case spec.Bind():
            source, propagation = os.fsencode(mount.host_path), os.fsencode(mount.propagation)
            return mounts.Bind(source, mount.read_only, target, mount.recursive, propagation)
        case spec.BindRoot():
            return mounts.BindRoot(mount.read_only, _root(mount.root), os.fsencode(mount.source), target)
        case spec.Tmpfs():
            permissions = mounts.Permissions(
                adapts=mount.mode is None,
                gid=mount.gid,
                mode=0o1777 if mount.mode is None else mount.mode,
                uid=mount.uid,
            )
            return mounts.Tmpfs(mount.executable, permissions, mount.read_only, mount.size, target)
        case spec.FileSystem():
            kind, options = os.fsencode(mount.kind), tuple(map(os.fsencode, mount.options))
            return FileSystem(kind, options, mount.read_only, os.fsencode(mount.source), target)
        case spec.FileMount():
            return mounts.FileMount(mount.content, mount.gid, mount.mode, target, mount.uid)
        case spec.DeviceNode():
            return mounts.DeviceNode(os.fsencode(mount.host_path), target)
