"""What is mounted in place of a plain directory: the options of volumes and tmpfs, and the propagation of binds.

The options of a volume are those of Docker's driver ``local``. Docker mounts such a volume on the host while a
container uses it. Here each sandbox mounts it for itself, so that a killed process leaves no mount on the host.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pybuild.builder.containers.config import TMPFS, MountPoint
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number
from pybuild.grammar.parse_go import parse_size
from pybuild.runtime.sandbox.spec import Tmpfs
from pybuild.runtime.snapshots.id_map import id_map, is_host_map
from pybuild.runtime.values import frozen, replace

_KEYS = ("type", "device", "o")
_BIND, _WAYS = frozenset({"", "none", "bind"}), frozenset({"bind", "rbind", "rw", "ro"})
_ON_SERVERS = frozenset({"nfs", "nfs4", "cifs", "smb3"})
_OF_TMPFS = frozenset({"rw", "nosuid", "nodev", "noatime"})
PRIVATE = frozenset({"private", "rprivate"})
PROPAGATED = frozenset({"shared", "rshared", "slave", "rslave"})
"""The modes of the propagation of a bind: whether what is mounted below it later is seen on the other side.

The rules of the kernel are in mount_namespaces(7). Only a shared mount of the host has peers, so that is checked when
a container starts, with Docker's words.
"""


@frozen
class VolumeMount:
    """The file system of a volume that is on a disk or a server: what mount(8) is given."""

    kind: str
    device: str
    options: tuple[str, ...]


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
    elif kind not in _BIND:
        if not device:
            hint = "-o o=addr=SERVER -o device=:/PATH" if kind in _ON_SERVERS else f"-o type={kind} -o device=/dev/DISK"
            raise RequestError('missing required option: "device"', hint=hint)
    elif not {"bind", "rbind"} & set(ways):
        raise RequestError("a volume with a device needs -o o=bind", hint="-o type=none -o o=bind -o device=DIRECTORY")
    elif not device.startswith("/"):
        raise RequestError(f"the device {device!r} of a volume is no absolute path", hint="-o device=/DIRECTORY")
    elif unknown := set(ways) - _WAYS:
        raise RequestError(
            f"the option o={min(unknown)} of a volume is not supported", hint="use bind, rbind, ro or rw"
        )


def place_of(name: str, data: Path, options: Mapping[str, str]) -> Path | MountPoint | VolumeMount:
    """Return what is mounted for the volume *name*: the directory *data*, or what its options say instead.

    Raises:
        ContainerError: the directory of the host that its options name does not exist, or the name of its server has
            no address, or it needs root.
    """
    kind, device = options.get("type", ""), options.get("device", "")
    if kind == "tmpfs":
        return tmpfs_of(options.get("o", ""), "o=")
    if not options:
        return data
    if kind not in _BIND:
        return _mount_of_device(VolumeMount(kind=kind, device=device, options=tuple(_words(options))), name)
    if not os.path.isdir(device):
        raise ContainerError(
            f"error while mounting volume '{data}': {device}: no such directory", hint=f"volume {name}"
        )
    return Path(device)


def _mount_of_device(mount: VolumeMount, name: str) -> VolumeMount:
    """Return *mount* with the address of its server, which the kernel does not look up."""
    if not is_host_map(id_map()):
        raise mount_failed(name, mount, f"{mount.kind} needs root: the kernel mounts it in no user namespace")
    try:
        return replace(mount, options=tuple(map(_with_address, mount.options)))
    except OSError as error:
        raise mount_failed(
            name, mount, f"error resolving passed in network volume address: {error.strerror}"
        ) from error


def _with_address(option: str) -> str:
    host = option.removeprefix("addr=")
    if host == option:
        return option
    return f"addr={socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]}"


def mount_failed(name: str, mount: VolumeMount, reason: str) -> ContainerError:
    """Return the error for the volume *name* whose file system cannot be mounted for *reason*."""
    hint = "mount it on the host, and use a volume with -o type=none -o o=bind -o device=DIRECTORY"
    return ContainerError(f"error while mounting volume '{name}' of '{mount.device}': {reason}", hint=hint)


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
