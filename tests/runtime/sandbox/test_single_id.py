import os
import pickle
from pathlib import Path
from typing import Any

from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, prctl
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.user_namespace import become_root


def _alone(uid: int) -> Any:
    """Return what a process of *uid* finds after it became root with its own id alone."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([77])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            prctl(PR_SET_DUMPABLE, 1)  # as after an exec: /proc/self is the user's again
            os.environ[isolation.VARIABLE] = "single"
            become_root()
            maps = [Path("/proc/self", name).read_text(encoding="ascii").split() for name in ("uid_map", "gid_map")]
            os.write(writer, pickle.dumps((os.getresuid(), maps, isolation.is_single(), isolation.is_direct())))
        except Exception as error:
            os.write(writer, pickle.dumps(error))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    return pickle.loads(data)


def test_a_user_without_other_ids_is_root_and_knows_that_it_has_one() -> None:
    assert _alone(4242) == ((0, 0, 0), [["0", "4242", "1"]] * 2, True, True)


def test_root_may_have_its_own_id_alone() -> None:
    assert _alone(0)[1:3] == ([["0", "0", "1"]] * 2, True)


def test_a_process_outside_is_not_single() -> None:
    assert not isolation.is_single()
