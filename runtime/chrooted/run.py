"""Runs a `Spec` with isolation chroot: puts its mounts into the tree, starts a keeper, takes the mounts out again."""

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EACCES
from pathlib import Path
from typing import Self

from pybuild.runtime.chrooted import mount_contents
from pybuild.runtime.chrooted.confinement import opening_filter, own_filter, traced_calls
from pybuild.runtime.chrooted.inside.values import ChrootPlan, Hidden, HiddenFiles
from pybuild.runtime.chrooted.replacements import Places
from pybuild.runtime.errors import SandboxError, SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.records import Operation, encode
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
_OPEN = 0x20  # IN_OPEN of inotify(7), which does not stand for O_PATH
_EVENT = struct.Struct("=iIII")  # struct inotify_event of a watched file, which has no name
_MOST_EVENTS = 1 << 16  # bytes
_libc = ctypes.CDLL(None, use_errno=True)
_ZEROS = "a process got zeros: it has executed no program since it changed its user, or may not be looked into"
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
        with _watched(directory, filled.secrets):
            child = Child(encode(plan), outputs=filled.streams)
            try:
                reports = child.run_to_end(output, cancel, signals)
            finally:
                # Where the keeper was killed, the kernel kills the processes that it traced, but later than the keeper
                # itself: none of them may still use the tree when it is restored.
                end_marked(number)
    return result_of(reports)


@contextmanager
def _watched(directory: Path, secrets: tuple[bytes, ...]) -> Iterator[None]:
    """Raise SandboxError at the end if a process has opened a file that stands for a secret, and has read zeros.

    The opener cannot look into a process that is not dumpable, so the kernel opens what that names.
    """
    if not secrets:
        yield
        return
    tree = os.fsencode(directory / "fs")
    with Operation("watch secrets"):
        files = OpenedFiles(tree + path for path in secrets)
    with files:
        yield
        opened = files.first()
    if opened is not None:
        raise SandboxError("read the secret", os.fsdecode(opened.removeprefix(tree)), EACCES, _ZEROS)


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


class OpenedFiles:
    """Notes which of the files at *paths* are opened from now on, also by another name. It is a context manager."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._paths = {_checked(_libc.inotify_add_watch(self._fd, path, _OPEN)): path for path in paths}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def first(self) -> bytes | None:
        """Return the path of the file that was opened first, None if none was."""
        try:
            data = os.read(self._fd, _MOST_EVENTS)
        except BlockingIOError:
            return None
        return next((self._paths[watch] for watch, what, _, _ in _EVENT.iter_unpack(data) if what & _OPEN), None)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
