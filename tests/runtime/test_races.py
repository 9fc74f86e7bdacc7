"""Races that an image or a cache mount could run against the making of a sandbox: bounded, against the real code."""

import os
from pathlib import Path

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.sandbox.inside import mounts, plan
from pybuild.runtime.sandbox.inside.detached_root import DetachedRoot, SystemMounts
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.sandbox.inside.root import DirectoryRoot
from pybuild.runtime.sandbox.inside.stubs import Stubs
from tests.runtime.exchanging import exchanging
from tests.runtime.namespaces import in_mount_namespace

SETTINGS = plan.SandboxSettings((), False, plan.Isolation(), plan.SandboxNamespaces(b"box"), False, 1 << 20, plan.NULL)
PROCESS = Process((b"true",), Confinement(DEFAULT, False, False, (), b""), b"/", (), b"")


def test_a_source_that_is_exchanged_for_a_link_never_shows_the_host(tmp_path: Path) -> None:
    """CVE-2024-23651, SECURITY A08."""
    cache = tmp_path / "cache"
    (cache / "d").mkdir(parents=True)
    (cache / "d/inside").touch()
    (cache / "root").symlink_to("/")
    (tmp_path / "canary").touch()
    (cache / "out").symlink_to("../../../../../" + str(tmp_path))
    mount = mounts.BindRoot(False, DirectoryRoot(bytes(cache), False), b"d", b"/m")

    def work() -> object:
        scratch, seen, failures = mounts.ScratchSpace(), set(), 0
        with exchanging(cache, ("d", "root"), ("d", "out")):
            for _ in range(600):
                try:
                    tree = mount.make(scratch)
                except SandboxError:
                    failures += 1
                    continue
                seen.add(tuple(sorted(os.listdir(f"/proc/self/fd/{tree}"))))
                os.close(tree)
        return ("inside",) in seen, seen - {("inside",), ("d", "out", "root")}

    assert in_mount_namespace(work) == "(True, set())"


def test_system_directories_and_targets_that_are_exchanged_for_links_never_lead_a_mount_out(tmp_path: Path) -> None:
    """CVE-2025-52881 and CVE-2021-30465, SECURITY A05: the root is shared with somebody who is at work in it."""
    root, victim = tmp_path / "root", tmp_path / "victim"
    names = ("proc", "sys", "dev", "cache")
    for name in names:
        (root / name / "in").mkdir(parents=True)
        (root / f"{name}-link").symlink_to(victim if name != "cache" else f"../../../../../{victim}")
    (victim / "in").mkdir(parents=True)
    (victim / "ptmx").write_text("keep")
    target = mounts.Tmpfs(True, mounts.Permissions(True, 0, 0o755, 0), False, 0, b"/cache/in/new")
    wanted = plan.SandboxPlan((target,), PROCESS, DirectoryRoot(bytes(root), False), SETTINGS)
    core_pattern = Path("/proc/sys/kernel/core_pattern").read_text()

    def work() -> object:
        first = max(map(int, os.listdir("/proc/self/fd")))
        made = refused = 0
        with exchanging(root, *((name, f"{name}-link") for name in names)):
            for _ in range(250):
                stubs = Stubs()
                system = SystemMounts()
                system.build(SETTINGS)
                try:
                    DetachedRoot(wanted, stubs, system, {})
                    made += 1
                except SandboxError:
                    refused += 1
                os.closerange(first, first + 200)  # a keeper makes one stage and ends
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return made + refused, [path for path in mounted if path.startswith(str(tmp_path))]

    assert in_mount_namespace(work) == "(250, [])"
    assert sorted(str(path.relative_to(victim)) for path in victim.rglob("*")) == ["in", "ptmx"]
    assert (victim / "ptmx").read_text() == "keep"
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core_pattern
