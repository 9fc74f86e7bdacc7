"""Namespaces of another container, which a sandbox joins. What has to be root to be seen is in `test_keeper`."""

import os

from pybuild.runtime.sandbox.inside.namespaces import IPC, JOINABLE, NETWORK, PID, JoinedNamespaces, joined_by


def slots(joined: JoinedNamespaces) -> tuple[int, int, int]:
    return joined.network, joined.pid, joined.ipc


def test_descriptors_are_numbered_in_the_order_of_the_names() -> None:
    assert slots(joined_by((), 6, 8)) == (-1, -1, -1)
    assert slots(joined_by(JOINABLE, 6, 8)) == (6, 8, 9)
    assert slots(joined_by((NETWORK, IPC), 6, 8)) == (6, -1, 8)
    assert slots(joined_by((PID, IPC), 6, 8)) == (-1, 8, 9)


def test_only_those_that_are_there_are_descriptors() -> None:
    assert joined_by((PID,), 6, 8).descriptors() == (8,)
    assert JoinedNamespaces().descriptors() == ()


def test_a_namespace_that_this_process_is_in_is_not_entered_again() -> None:
    # Without privileges setns(2) would fail.
    own = os.pidfd_open(os.getpid())
    JoinedNamespaces(pid=own).enter_pid()
    os.close(own)
