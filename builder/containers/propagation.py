"""Propagation of binds: what is mounted below one later, on the host or in the container, is seen on the other side.

The rules of the kernel are in mount_namespaces(7). Only a shared mount of the host has peers, so that is checked when
a container starts, with Docker's words.
"""

import os
from pathlib import Path

from pybuild.builder.containers.errors import ContainerError
from pybuild.runtime.snapshots.id_map import id_map, is_host_map

PRIVATE = frozenset({"private", "rprivate"})
PROPAGATED = frozenset({"shared", "rshared", "slave", "rslave"})


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
