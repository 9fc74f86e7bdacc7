"""Processes that have the mark of a run are ended, and no others."""

import os
import signal
import subprocess

from pybuild.runtime.snapshots.process_marks import end_marked, new_mark


def _started(mark: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["prlimit", f"--locks={mark}", "sh", "-c", "sleep 1000 & echo x; wait"], stdout=subprocess.PIPE
    )


def test_marked_processes_are_ended_with_their_children_and_no_others() -> None:
    ours, theirs = new_mark(), new_mark()
    with _started(ours) as marked, _started(theirs) as other:
        try:
            assert marked.stdout is not None
            assert marked.stdout.readline() == b"x\n"
            end_marked(ours)
            assert marked.stdout.read() == b""  # the child had it open, too
            assert marked.wait() == -signal.SIGKILL
            assert other.poll() is None
        finally:
            end_marked(theirs)


def test_one_that_nobody_waits_for_is_not_waited_for_either() -> None:
    mark = new_mark()
    with _started(mark) as marked:
        assert marked.stdout is not None
        assert marked.stdout.readline() == b"x\n"
        end_marked(mark)
        assert os.waitid(os.P_PID, marked.pid, os.WEXITED | os.WNOWAIT) is not None
        end_marked(mark)
