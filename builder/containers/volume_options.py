"""What is mounted in place of a plain directory: the options of volumes and tmpfs, and the propagation of binds.

The options of a volume are those of Docker's driver ``local``. Docker mounts such a volume on the host while a
container uses it. Here each sandbox mounts it for itself, so that a killed process leaves no mount on the host.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pybuild.builder.containers.config import TMPFS, MountPoint
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number
from pybuild.grammar.parse_go import parse_size
from pybuild.runtime.sandbox.spec import Tmpfs
from pybuild.runtime.snapshots.id_map import id_map, is_host_map
from pybuild.runtime.values import replace

_KEYS = ("type", "device", "o")
_BIND, _WAYS = frozenset({"", "none", "bind"}), frozenset({"bind", "rbind", "rw", "ro"})
_NFS = frozenset({"nfs", "nfs4"})
FILE_SYSTEMS = Path("/proc/filesystems")
"""The file systems that the kernel has now; a module may bring another one."""
_OF_TMPFS = frozenset({"rw", "nosuid", "nodev", "noatime"})
PRIVATE = frozenset({"private", "rprivate"})
PROPAGATED = frozenset({"shared", "rshared", "slave", "rslave"})
"""The modes of the propagation of a bind: whether what is mounted below it later is seen on the other side.

The rules of the kernel are in mount_namespaces(7). Only a shared mount of the host has peers, so that is checked when
a container starts, with Docker's words.
"""


def check_options(options: Mapping[str, str]) -> None:
    """Raise RequestError when one of *options* is unknown or not supported."""
    for key in options:
        if key not in _KEYS:
            raise RequestError(f"invalid option: {key!r}", hint=f"use {', '.join(_KEYS)}")
    if not options:
        return
    kind, device, ways = options.get("type", ""), options.get("device", ""), _words(options)
    if kind == "tmpfs":
        tmpfs_of(options.get("o", ""), "o=")
    elif kind in _NFS:
        if not device:
            raise RequestError('missing required option: "device"', hint="-o o=addr=SERVER -o device=:/PATH")
    elif kind not in _BIND:
        raise RequestError(
            f"a volume of the type {kind!r} is not supported",
            hint=f"mount it on the host, and use -o type=none -o o=bind -o device=DIRECTORY (here: {device})",
        )
    elif not {"bind", "rbind"} & set(ways):
        raise RequestError("a volume with a device needs -o o=bind", hint="-o type=none -o o=bind -o device=DIRECTORY")
    elif not device.startswith("/"):
        raise RequestError(f"the device {device!r} of a volume is no absolute path", hint="-o device=/DIRECTORY")
    elif unknown := set(ways) - _WAYS:
        raise RequestError(
            f"the option o={min(unknown)} of a volume is not supported", hint="use bind, rbind, ro or rw"
        )


def place_of(name: str, data: Path, options: Mapping[str, str]) -> Path | MountPoint:
    """Return what is mounted for the volume *name*: the directory *data*, or what its options say instead.

    Raises:
        ContainerError: the directory of the host that its options name does not exist, or it is one of nfs.
    """
    if is_nfs(options):
        raise _unmounted(name, options)
    if options.get("type") == "tmpfs":
        return tmpfs_of(options.get("o", ""), "o=")
    if not options:
        return data
    device = options.get("device", "")
    if not os.path.isdir(device):
        raise ContainerError(
            f"error while mounting volume '{data}': {device}: no such directory", hint=f"volume {name}"
        )
    return Path(device)


def is_nfs(options: Mapping[str, str]) -> bool:
    """Return whether these are the options of a volume on a server."""
    return options.get("type") in _NFS


def _unmounted(name: str, options: Mapping[str, str]) -> ContainerError:
    """Return the error for a volume of nfs, which is made as in Docker, but which nothing here can mount."""
    kind, device = options["type"], options.get("device", "")
    known = {line.split()[-1] for line in FILE_SYSTEMS.read_text(encoding="ascii").splitlines() if line.strip()}
    hint = "mount it on the host, and use a volume with -o type=none -o o=bind -o device=DIRECTORY"
    if not is_host_map(id_map()):
        reason = f"{kind} needs root: the kernel mounts it in no user namespace"
    elif kind not in known:
        reason, hint = f"the kernel of this host has no file system {kind}", f"modprobe {kind}, or a kernel with it"
    else:
        reason = f"pybuild does not mount {kind} itself"
    return ContainerError(f"error while mounting volume '{name}' of '{device}': {reason}", hint=hint)


def tmpfs_of(text: str, prefix: str = "", *, no_exec: bool = False) -> MountPoint:
    """Return a tmpfs without a target from the options of mount(8) in *text*, separated by commas.

    *no_exec* is the default for the options ``exec`` and ``noexec``.

    Raises:
        RequestError: an option is invalid. The message has *prefix* before the option, as the user wrote it.
    """
    found = MountPoint(kind=TMPFS, target="", no_exec=no_exec)
    for option in filter(None, text.split(",")):
        name, _, value = option.partition("=")
        try:
            if name == "size":
                found = replace(found, size=_size(value))
            elif name == "mode":
                found = replace(found, mode=int(value, 8))
            elif name == "uid":
                found = replace(found, uid=_id(value))
            elif name == "gid":
                found = replace(found, gid=_id(value))
            elif name in {"exec", "noexec"}:
                found = replace(found, no_exec=name == "noexec")
            elif name == "ro":
                found = replace(found, read_only=True)
            elif name not in _OF_TMPFS:
                hint = "use size, mode, uid, gid, exec, noexec and ro"
                raise RequestError(f"invalid tmpfs option {prefix + option!r}", hint=hint)
        except ValueError as error:
            hint = f"write it as {prefix}size=64m,mode=755,uid=1000"
            raise RequestError(f"invalid tmpfs option {prefix + option!r}", hint=hint) from error
    return found


def tmpfs_at(target: PurePosixPath, place: MountPoint, *, read_only: bool) -> Tmpfs:
    """Return the mount of the tmpfs *place* at *target* for a sandbox."""
    return Tmpfs(
        target=target,
        size=place.size,
        mode=place.mode,
        uid=place.uid,
        gid=place.gid,
        read_only=read_only,
        executable=not place.no_exec,
    )


def make_source(bind: MountPoint) -> None:
    """Create the source directory of *bind* on the host if it is missing, as ``-v`` does in Docker."""
    if not os.path.lexists(bind.source):
        os.makedirs(bind.source, exist_ok=True)


def _size(text: str) -> int:
    """Return a size in bytes. A percentage is of the memory of this host, as in mount(8)."""
    if text.endswith("%"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _id(text[:-1]) // 100
    return parse_size(text)


def _id(text: str) -> int:
    # The id 2**32 - 1 means "no change" to chown(2), and belongs to nobody.
    number = whole_number(text, 2**32 - 2)
    if number is None:
        raise ValueError(text)
    return number


def _words(options: Mapping[str, str]) -> list[str]:
    return [word for word in options.get("o", "").split(",") if word]


def check_propagation(source: Path, mode: str) -> None:
    """Raise ContainerError unless the mount that *source* is on can pass mounts on as *mode*, one of `PROPAGATED`."""
    if not is_host_map(id_map()):
        raise ContainerError(
            f"a bind with {mode} needs root: from a user namespace no mount gets back to the host",
            hint=f"leave out {mode}",
        )
    place, peers = _mount_of(source)
    if "shared" not in peers and (mode.endswith("shared") or "master" not in peers):
        wanted = "shared" if mode.endswith("shared") else "shared or slave"
        raise ContainerError(
            f"path {source} is mounted on {place} but it is not a {wanted} mount", hint=f"mount --make-shared {place}"
        )


def _mount_of(source: Path) -> tuple[str, frozenset[str]]:
    """Return where the mount of *source* is mounted, and its peers: ``shared`` and ``master`` (proc(5), mountinfo)."""
    opened = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/self/fdinfo/{opened}").read_text(encoding="ascii").splitlines()
    finally:
        os.close(opened)
    number = next(line.split()[1] for line in lines if line.startswith("mnt_id:"))
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(" ")
        if fields[0] == number:
            optional = fields[6 : fields.index("-")]
            return fields[4], frozenset(field.partition(":")[0] for field in optional)
    return "/", frozenset()
