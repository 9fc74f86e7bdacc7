import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.containers import namespace
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import NoMonitor, namespace_of
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.joining import identity
from tests.helpers.hosts import need_root


@pytest.mark.parametrize(
    ("user", "wanted", "reason"),
    [
        (0, "userns", "no isolation 'userns' yet"),
        (0, "none", "no isolation 'none' yet"),
        (1000, "single", "no isolation 'single' yet"),
        (1000, "root", "isolation root is for root"),
        (1000, "none", "isolation none unpacks no images"),
    ],
)
def test_an_isolation_that_containers_have_not_is_refused(
    user: int, wanted: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv(isolation.VARIABLE, wanted)
    with pytest.raises(SandboxUnavailable, match=reason):
        namespace.need_sandbox()


def test_files_of_other_ids_are_refused() -> None:
    namespace.check_ids("0123456789abcdef", namespace.own_ids())
    with pytest.raises(ContainerError, match="container 0123456789ab belong to other ids: 0:7"):
        namespace.check_ids("0123456789abcdef", "0:7+1/0:7+1")


def test_a_process_with_its_own_id_alone_has_no_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace.need_ids()
    monkeypatch.setattr(isolation, "is_single", lambda: True)
    monkeypatch.setattr(isolation, "single_id_reason", lambda: "newuidmap is missing")
    with pytest.raises(SandboxUnavailable, match="containers need subordinate ids, for now: newuidmap is missing"):
        namespace.need_ids()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A directory in which this process listens like a monitor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{tmp_path}/{messages.SOCKET}")
        listener.listen()
        yield tmp_path


def test_the_namespace_of_a_monitor_is_found_before_it_has_answered(listening: Path) -> None:
    found = namespace_of(listening)
    try:
        assert identity(found) == identity()
    finally:
        os.close(found)


def test_a_monitor_that_is_gone_has_no_namespace(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{tmp_path}/{messages.SOCKET}")
    with pytest.raises(NoMonitor):
        namespace_of(tmp_path)


def test_a_monitor_that_ends_meanwhile_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{tmp_path}/{messages.SOCKET}")
    listener.listen()
    real = os.open

    def open_late(path: str, *flags: int) -> int:
        # Its number may be that of another process by now.
        if str(path).startswith("/proc/"):
            listener.close()
        return real(path, *flags)

    monkeypatch.setattr(os, "open", open_late)
    with pytest.raises(NoMonitor):
        namespace_of(tmp_path)


def test_files_that_the_user_may_not_remove_are_removed_by_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    (tmp_path / "tree" / "inner").mkdir(parents=True)

    def refuse(*_: object) -> None:
        raise PermissionError

    asked: list[object] = []
    with Store.open(tmp_path / "store") as store:
        monkeypatch.setattr(namespace, "_remove", refuse)
        with pytest.raises(PermissionError):
            namespace.remove_files(store, tmp_path, "tree")
        monkeypatch.setattr(isolation, "is_direct", lambda: False)
        monkeypatch.setattr(namespace, "call_in_containers", lambda _function, _store, *call: asked.append(call))
        namespace.remove_files(store, tmp_path, "tree")
    assert asked == [(tmp_path, "tree")]
