"""Runs a `Spec` with isolation chroot: puts its mounts into the tree, starts a keeper, takes the mounts out again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybuild.runtime.chrooted import mount_contents
from pybuild.runtime.chrooted.confinement import opening_filter, own_filter, traced_calls
from pybuild.runtime.chrooted.inside.values import ChrootPlan, Hidden, HiddenFiles
from pybuild.runtime.chrooted.replacements import Places
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.records import encode
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.cgroups import limited_with_notes
from pybuild.runtime.sandbox.child import CancelFlag, Child, Output
from pybuild.runtime.sandbox.launcher import process_of
from pybuild.runtime.sandbox.privileges import try_chroot_in
from pybuild.runtime.sandbox.results import result_of
from pybuild.runtime.sandbox.signal_relay import SignalRelay
from pybuild.runtime.sandbox.spec import ExitStatus, Network, Spec, Tmpfs
from pybuild.runtime.snapshots.copy_mark import COPIED
from pybuild.runtime.snapshots.process_marks import end_marked, new_mark
from pybuild.runtime.values import replace

_NOTE = (
    b"note: steps run after a chroot alone (experimental): no namespaces, no network of their own, no set-user-ID"
    b" programs, only a few files in /proc, and what is mounted is copied\n"
)
# With CAP_SYS_CHROOT a process can leave a root that was set by chroot(2).
_CAPABILITIES = DEFAULT & ~mask("SYS_CHROOT")
_noted: set[str] = set()
"""The notes that have been written: each is written once by a process, not for each step."""
_tried: dict[int, SandboxUnavailable | None] = {}
"""The result of the trial on each file system, by its device number; None for a success."""


def run(
    sandbox: Spec, *, output: Output, cancel: CancelFlag | None = None, signals: SignalRelay | None = None
) -> ExitStatus:
    """Run the process of *sandbox*, as `runtime.sandbox.launcher.run` does.

    Raises:
        SandboxUnavailable: this host does not permit what is needed, or *sandbox* needs something that a chroot lacks.
        SandboxError: as `launcher.run`.
    """
    isolation.check_commands()
    directory = _snapshot(sandbox)
    _check(sandbox, directory)
    _announce(output)
    number = new_mark()
    with limited_with_notes(sandbox.limits, output) as groups, _placed(directory, number) as places:
        _warn_of_sizes(sandbox, output)
        filled = mount_contents.fill(places, sandbox)
        own = replace(sandbox, capabilities=sandbox.capabilities & _CAPABILITIES)
        plan = ChrootPlan(
            root=os.fsencode(directory / "fs"),
            cgroups=tuple(os.fsencode(file) for file in groups.files),
            mark=number,
            filter=own_filter(),
            traced=traced_calls(),
            process=process_of(own),
            opening=_opening(filled.hidden),
        )
        child = Child(encode(plan), outputs=filled.streams)
        try:
            reports = child.run_to_end(output, cancel, signals)
        finally:
            # Where the keeper was killed, the kernel kills the processes that it traced, but later than the keeper
            # itself: none of them may still use the tree when it is restored.
            end_marked(number)
    return result_of(reports)


def _opening(hidden: tuple[Hidden, ...]) -> HiddenFiles | None:
    if not hidden:
        return None
    program, calls = opening_filter()
    return HiddenFiles(calls, program, hidden)


@contextmanager
def _placed(directory: Path, number: int) -> Iterator[Places]:
    places = Places(directory, number)
    try:
        yield places
    finally:
        places.restore()


def _snapshot(sandbox: Spec) -> Path:
    """Return the directory of the active snapshot in which *sandbox* runs. Raises SandboxUnavailable for another root.

    `COPIED` is beside the tree of a `CopyingSnapshotter` only.
    """
    match sandbox.root:
        case DirectoryRoot(path=path, read_only=False) if (path.parent / COPIED).exists():
            return path.parent
    raise SandboxUnavailable("isolation chroot runs in copies of images alone", "leave out --rootfs and --read-only")


def _check(sandbox: Spec, directory: Path) -> None:
    """Raise SandboxUnavailable if *sandbox* asks for something that a chroot lacks, or the trial fails on this host."""
    asked = {
        "--security=insecure": sandbox.insecure,
        "a network of its own": sandbox.network is not Network.HOST,
        "a terminal, or input": sandbox.terminal or sandbox.interactive,
        "an init": sandbox.init,
        "a root that is read-only": sandbox.read_only,
        "other capabilities than the usual ones": bool(sandbox.capabilities & ~DEFAULT),
        "namespaces or their parameters": bool(sandbox.shared or sandbox.sysctls),
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise SandboxUnavailable(f"isolation chroot cannot give {name}", isolation.IN_CONTAINER)
    device = directory.stat().st_dev
    if device not in _tried:
        _tried[device] = try_chroot_in(directory)
    refusal = _tried[device]
    if refusal is None:
        return
    if isolation.wanted() == isolation.CHROOT:
        raise SandboxUnavailable(f"isolation chroot does not work here: {refusal}", refusal.hint)
    raise isolation.not_permitted(f"{refusal}")


def _warn_of_sizes(sandbox: Spec, output: Output) -> None:
    """Warn of sizes that are not limited, since a tmpfs is a directory here."""
    sized = [f"the tmpfs at {mount.target}" for mount in sandbox.mounts if isinstance(mount, Tmpfs) and mount.size]
    if sandbox.limits.shm_size is not None:
        sized.append("/dev/shm")  # noqa: S108 - a name in a message
    for name in sized:
        output(2, f"WARNING: the size of {name} is not kept: isolation chroot has no tmpfs\n".encode())


def _announce(output: Output) -> None:
    if "announced" not in _noted:
        _noted.add("announced")
        output(2, _NOTE)
