import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pybuild
from pybuild import errors
from tests.helpers.hosts import need_root, need_small_base
from tests.helpers.program import Program


@pytest.fixture
def store(tmp_path: Path) -> Iterator[pybuild.Store]:
    need_root()
    Program(store=tmp_path / "store").run("import", "-c", "ENV PATH=/bin A=image", str(need_small_base()), "box")
    with pybuild.Store.open(tmp_path / "store") as opened:
        yield opened
        for left in pybuild.containers(opened):
            left.remove()


LOOP = ("sh", "-c", "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")


def test_a_service_is_started_used_and_removed(store: pybuild.Store) -> None:
    with pybuild.start("box", LOOP, store, name="service") as service:
        assert (service.name, service.status, service.exit_code) == ("service", "running", None)
        assert next(service.logs(follow=True)) == (1, b"ready\n")
        printed: list[tuple[int, bytes]] = []
        command = pybuild.Command(words=("sh", "-c", "echo $A $B; exit 3"), env=(("B", "b"),))
        assert service.run(command, lambda *piece: printed.append(piece)) == 3
        assert printed == [(1, b"image b\n")]
        assert [each.id for each in pybuild.containers(store)] == [service.id]
        assert service.wait(0.05) is None
        service.stop()
        assert (service.status, service.exit_code, service.wait()) == ("exited", 5, 5)
        assert list(service.logs()) == [(1, b"ready\n"), (1, b"bye\n")]
        service.start()
        service.kill()
        assert service.wait() == 137
    assert pybuild.containers(store) == []
    with pytest.raises(errors.ContainerError, match="No such container"):
        service.start()
    service.remove()


def test_what_cannot_start_leaves_nothing(store: pybuild.Store) -> None:
    with pytest.raises(errors.ContainerError, match="executable file not found"):
        pybuild.start("box", ("nosuch",), store)
    with pytest.raises(errors.ImageNotFound):
        pybuild.start("nope", (), store)
    with pytest.raises(errors.RequestError, match="no command specified"):
        pybuild.start("box", (), store)
    assert pybuild.containers(store) == []


def test_a_single_text_is_one_network_or_port(store: pybuild.Store) -> None:
    with pytest.raises(errors.NetworkError, match="network nosuch not found"):
        pybuild.start("box", LOOP, store, networks="nosuch")
    with pytest.raises(errors.RequestError, match="Invalid containerPort: 99999"):
        pybuild.start("box", LOOP, store, ports="99999")
    assert pybuild.containers(store) == []


def test_a_name_is_taken_once_and_an_ended_container_runs_nothing(store: pybuild.Store) -> None:
    with pybuild.start("box", ("true",), store, name="one") as one:
        one.wait()
        with pytest.raises(errors.ContainerError, match="already in use"):
            pybuild.start("box", ("true",), store, name="one")
        with pytest.raises(errors.ContainerError, match="is not running"):
            one.run(("true",))
        with pytest.raises(errors.ContainerError, match="is not running"):
            one.kill()
        one.stop()


def test_logs_are_followed_to_the_end(store: pybuild.Store) -> None:
    with pybuild.start("box", ("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"), store) as one:
        begun = time.monotonic()
        assert [line for _, line in one.logs(follow=True)] == [b"1\n", b"2\n", b"3\n"]
        assert time.monotonic() - begun < 20
        assert [line for _, line in one.logs(tail=1)] == [b"3\n"]
