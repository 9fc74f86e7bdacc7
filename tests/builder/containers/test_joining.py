from pybuild.builder.containers.config import Namespaces
from pybuild.builder.containers.joining import joins_of, shares_processes


def test_the_namespaces_of_others_are_joined_and_those_of_the_host_are_not() -> None:
    assert joins_of(Namespaces()) == joins_of(Namespaces(pid="host", ipc="host")) == ()
    assert joins_of(Namespaces(pid="container:abc", ipc="container:def")) == ("pid", "ipc")
    assert joins_of(Namespaces(ipc="container:def")) == ("ipc",)


def test_both_the_host_and_another_container_share_their_processes() -> None:
    assert [shares_processes(Namespaces(pid=mode)) for mode in ("", "host", "container:abc")] == [False, True, True]
