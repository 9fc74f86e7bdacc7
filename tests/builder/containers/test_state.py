import fcntl
import json
import os
from pathlib import Path

import pytest

from pybuild.builder.containers.state import State, is_watched, read_state, write_state
from pybuild.runtime.kernel.pidfd import boot_id, start_time


def test_a_state_is_believed_while_it_is_watched(tmp_path: Path) -> None:
    assert read_state(tmp_path) == State()
    write_state(tmp_path, State(status="running", pid=5, boot=boot_id()))
    assert (read_state(tmp_path).status, read_state(tmp_path).exit_code, read_state(tmp_path).lost) == (
        "exited",
        137,
        True,
    )
    lock = os.open(tmp_path / "monitor", os.O_RDWR | os.O_CREAT)
    assert not is_watched(tmp_path)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert is_watched(tmp_path)
    assert read_state(tmp_path).status == "running"
    os.close(lock)
    write_state(tmp_path, State(status="paused", boot="another"))
    assert (read_state(tmp_path).status, read_state(tmp_path).exit_code) == ("exited", 255)
    write_state(tmp_path, State(status="exited", exit_code=3))
    assert (read_state(tmp_path).exit_code, read_state(tmp_path).lost) == (3, False)


def test_one_that_a_crash_cut_off_has_exited(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"Status": "run')
    assert (read_state(tmp_path).status, read_state(tmp_path).exit_code) == ("exited", 255)
    (tmp_path / "state.json").write_text(json.dumps({"Status": "created", "Later": 1}))
    assert read_state(tmp_path).status == "created"


def test_a_process_is_its_number_its_start_and_its_boot() -> None:
    own, started = os.getpid(), start_time(os.getpid())
    pidfd = State(pid=own, start_time=started, boot=boot_id()).open_process()
    assert pidfd is not None
    os.close(pidfd)
    assert State(pid=own, start_time=started + 1, boot=boot_id()).open_process() is None
    assert State(pid=own, start_time=started, boot="another").open_process() is None
    assert State().open_process() is None
    assert own in State(pid=own).processes()


@pytest.mark.parametrize(
    ("policy", "state", "due"),
    [
        ("always", State(status="exited"), True),
        ("always", State(status="exited", stopped=True), True),
        ("always", State(status="created"), False),
        ("always", State(status="running"), False),
        ("unless-stopped", State(status="exited"), True),
        ("unless-stopped", State(status="exited", stopped=True), False),
        ("on-failure", State(status="exited", exit_code=0), False),
        ("on-failure", State(status="exited", exit_code=255), True),
        ("on-failure", State(status="exited", exit_code=255, restarts=3), False),
        ("no", State(status="exited", exit_code=255), False),
    ],
)
def test_which_policy_starts_it_after_a_boot(policy: str, state: State, *, due: bool) -> None:
    assert state.is_due(policy, 3) is due
