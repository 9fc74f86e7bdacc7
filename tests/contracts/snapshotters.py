"""What tests of snapshotters share: working in a snapshot, and looking at what it holds."""

import os
import shlex
import subprocess
from pathlib import Path

from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from pybuild.runtime.snapshots.snapshotter import Active, Snapshotter
from tests.helpers.trees import Tree, read_directory


def name(number: int) -> str:
    return f"sha256:{number:064x}"


def mounts_below(directory: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]


def run(root: OverlayRoot | DirectoryRoot, script: str) -> str:
    """Run a shell script inside *root*, mounted in a mount namespace that ends with it."""
    match root:
        case DirectoryRoot():
            enter = f"cd {shlex.quote(str(root.path))}"
        case OverlayRoot():
            options = f"index=off,metacopy=off,redirect_dir=nofollow,lowerdir={':'.join(map(str, root.lowers[::-1]))}"
            if overlay_xattr_prefix() == "user.overlay.":
                options += ",userxattr"
            if root.upper:
                options += f",upperdir={root.upper},workdir={root.work}"
            enter = f"mount -t overlay overlay -o {shlex.quote(options)} /mnt; cd /mnt"
    command = ["unshare", "--mount", "sh", "-euc", f"{enter}\n{script}"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def changed(keeper: Snapshotter, active: Active, script: str) -> list[str]:
    """Run *script* in an active snapshot and return its changes."""
    run(keeper.root(active), script)  # type: ignore[arg-type]
    return shown(keeper, active)


def shown(keeper: Snapshotter, active: Active) -> list[str]:
    return [f"{change.kind.value} {change.path}" for change in keeper.changes(active)]


def layered(keeper: Snapshotter, *scripts: str) -> str:
    """Commit a snapshot per script on top of each other; return the name of the last."""
    parent = None
    for number, script in enumerate(scripts):
        active = keeper.prepare(parent)
        changed(keeper, active, script)
        parent = name(number)
        keeper.commit(active, parent)
    assert parent is not None
    return parent


def tree(keeper: Snapshotter, committed: str | None) -> Tree:
    fd = keeper.open(committed)
    try:
        found = read_directory(Path(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)
    del found["/"]  # there it is the link in /proc
    return found


def files(keeper: Snapshotter, committed: str | None) -> list[str]:
    return sorted(tree(keeper, committed))
