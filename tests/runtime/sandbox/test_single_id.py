import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, prctl
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.user_namespace import become_root
from tests.helpers.restricted import COVERED_PROC, refusing
from tests.runtime.forked import returned


def _alone(uid: int) -> Any:
    """Return what a process of *uid* finds after it became root with its own id alone."""

    def work() -> Any:
        os.setgroups([77])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        prctl(PR_SET_DUMPABLE, 1)  # as after an exec: /proc/self is the user's again
        os.environ[isolation.VARIABLE] = "single"
        become_root()
        maps = [Path("/proc/self", name).read_text(encoding="ascii").split() for name in ("uid_map", "gid_map")]
        return os.getresuid(), maps, isolation.is_single(), isolation.is_direct()

    return returned(work)


def test_a_user_without_other_ids_is_root_and_knows_that_it_has_one() -> None:
    assert _alone(4242) == ((0, 0, 0), [["0", "4242", "1"]] * 2, True, True)


def test_root_may_have_its_own_id_alone() -> None:
    assert _alone(0)[1:3] == ([["0", "0", "1"]] * 2, True)


_INSTEAD = """
import os
from pathlib import Path
from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, prctl
from pybuild.runtime.sandbox import isolation, trials, user_namespace
ids = os.dup2(os.memfd_create("ids"), 9, inheritable=False)
os.write(ids, {ids!r})
user_namespace._WRITERS = (({program!r}, Path("/proc/self/fd", str(ids))),) * 2
user_namespace._name = lambda: "user"
os.setresgid(4242, 4242, 4242)
os.setresuid(4242, 4242, 4242)
prctl(PR_SET_DUMPABLE, 1)
before = os.readlink("/proc/self/ns/user")
try:
    user_namespace.become_root(may_be_single={may})
except user_namespace.SandboxUnavailable as error:
    print("refused", error, sep=":")
print(isolation.is_single(), os.readlink("/proc/self/ns/user") != before, isolation.single_id_reason(), sep=":")
"""
_TOO_FEW = "user 4242 has no 65535 subordinate ids in /proc/self/fd/9"


def _instead(*ahead: str, ids: bytes = b"", program: str = "true", may: bool = True) -> list[str]:
    """What becomes of a user to whom *program* gives ids that it has by *ids*."""
    script = _INSTEAD.format(ids=ids, program=program, may=may)
    done = subprocess.run([*ahead, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_who_can_have_no_others_has_its_own_id() -> None:
    assert _instead() == [f"True:True:{_TOO_FEW}"]
    assert _instead(*COVERED_PROC) == [f"True:True:{_TOO_FEW}"]
    # These are refused to a namespace that is there already.
    (found,) = _instead(ids=b"4242:500000:65536\n", program="false")
    assert found.startswith("True:True:user 4242 could not be given its ids: ")


def test_where_it_may_not_be_or_does_not_work_nothing_is_entered() -> None:
    refused = [f"refused:{_TOO_FEW}", "False:False:"]
    assert _instead(may=False) == refused
    assert _instead(*refusing("pivot_root")) == refused
    for wanted in (isolation.STRICT, isolation.USERNS):
        assert _instead("env", f"{isolation.VARIABLE}={wanted}") == refused


def test_a_process_outside_is_not_single() -> None:
    assert not isolation.is_single()
