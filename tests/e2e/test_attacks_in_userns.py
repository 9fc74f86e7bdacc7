"""The attacks of tests/SECURITY.md again, by an ordinary user: all of their tests, as root of a user namespace."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.structure import REPOSITORY
from tests.helpers import bases
from tests.helpers.attacks import run_twice
from tests.helpers.hosts import need_programs
from tests.helpers.ordinary import UID, OrdinaryUser, ordinary_user

_NODES = frozenset(
    {
        "builder/oci/layers/test_unpack_entry.py::test_a_device_that_is_a_whiteout_to_overlayfs_is_not_made",
        "e2e/test_attacks_by_files.py::test_c01_pipes_and_devices_of_a_context_are_not_read[_node]",
        "e2e/test_attacks_by_files.py::test_c02_an_ignore_file_that_cannot_be_read_does_not_show_what_it_hides[_node]",
        "runtime/rootfs/test_users.py::test_a_hostile_database_is_refused_at_once_and_without_memory[group-zero]",
        "runtime/rootfs/test_users.py::test_a_hostile_database_is_refused_at_once_and_without_memory[passwd-zero]",
        "runtime/sandbox/inside/test_process.py::test_a_user_database_that_is_no_small_file_is_refused[group-device]",
        "runtime/sandbox/inside/test_process.py::test_a_user_database_that_is_no_small_file_is_refused[passwd-device]",
        "runtime/sandbox/inside/test_keeper.py::test_device_nodes_can_be_made_but_not_opened",
        "runtime/snapshots/test_overlay_snapshotter.py::test_device_nodes_of_an_image_are_inert_for_the_builder",
    }
)
"""The attack cannot be made: the kernel lets nobody make a device node in a user namespace."""
_STRICTER = frozenset(
    f"runtime/test_mount_attributes.py::test_each_mount_permits_what_it_is_for[{insecure}]"
    for insecure in (True, False)
)
"""Mounts permit less than as root, and the test is about the exact flags."""
_JOINING = frozenset(
    f"builder/cli/commands/container/test_joining.py::{name}"
    for name in (
        "test_the_other_cannot_look_into_what_joins_it",
        "test_in_the_hosts_namespace_our_own_processes_stay_closed",
    )
)
"""Without a control group of its own, a container joins no PID namespace."""
_GROUPS = "runtime/sandbox/test_cgroups.py"
"""Skips what needs a control group, which an ordinary user has on hosts with cgroup v2 only."""
_ENTER = """import os, sys
from pybuild.runtime.sandbox.user_namespace import become_root
become_root()
os.chdir(sys.argv[1])
os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[2:]])
"""


@pytest.fixture
def user(tmp_path: Path) -> OrdinaryUser:
    need_programs(["newuidmap", "setpriv", "unshare"])
    user = ordinary_user(tmp_path / "home")
    cache = user.directory / "cache" / "pybuild-tests"
    cache.mkdir(parents=True)
    small = bases.small()
    shutil.copy(small, cache)
    subprocess.run(["chown", "-R", str(UID), user.directory / "cache"], check=True)
    return user


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tables", ["A", "B", "CD"])
def test_each_attack_fails_in_a_user_namespace_too(user: OrdinaryUser, tables: str) -> None:
    words = user.command()
    home = user.seen(user.directory)
    environment = {
        **user.environment,
        "HOME": os.fspath(home),
        "XDG_CACHE_HOME": os.fspath(home / "cache"),
        "TMPDIR": os.fspath(home),
        "HYPOTHESIS_STORAGE_DIRECTORY": os.fspath(home / "hypothesis"),
        "PYTHONPATH": os.fspath(REPOSITORY / ".src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYBUILD_TESTS_NO_SKIPS", None)  # what may be skipped is said below
    options = ["-q", "-rfs", "-n0", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={home / 'tests'}"]
    entered = [
        sys.executable,
        "-c",
        _ENTER,
        os.fspath(REPOSITORY),
        *options,
        *(f"tests/{name}" for name in run_twice(tables)),
    ]
    done = subprocess.run(
        [*words[: words.index("env")], *entered], env=environment, capture_output=True, text=True, check=False
    )
    failed = set(re.findall(r"^FAILED tests/(\S+)", done.stdout, re.MULTILINE))
    assert re.search(r"^\d+ failed, \d+ passed|^\d+ passed", done.stdout, re.MULTILINE), (
        done.stdout[-2000:] + done.stderr
    )
    skipped = set(re.findall(r"^SKIPPED \[\d+\] tests/([^:\s]+)", done.stdout, re.MULTILINE))
    assert skipped <= {_GROUPS}, done.stdout[-4000:]
    assert not re.search(r"^ERROR tests/", done.stdout, re.MULTILINE), done.stdout[-4000:]
    expected = {name for name in _NODES | _STRICTER | _JOINING if name.startswith(tuple(run_twice(tables)))}
    assert failed == expected, done.stdout[-4000:]
