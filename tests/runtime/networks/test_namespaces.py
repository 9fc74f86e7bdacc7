import os

from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.namespaces import (
    inside,
    networks_directory,
    open_to_users,
    own_name,
    pin_new,
    pin_path,
    pinned,
    unpin,
)
from tests.helpers.hosts import need_root
from tests.helpers.networks import own_network


def test_a_namespace_lives_until_it_is_let_go() -> None:
    need_root()
    with own_network():
        assert pinned("test") is None
        made = pin_new("test")
        number = os.fstat(made).st_ino
        os.close(made)
        again = pinned("test")
        assert again is not None
        assert os.fstat(again).st_ino == number != os.stat("/proc/thread-self/ns/net").st_ino
        with inside(again):
            assert [each.name for each in links()] == ["lo"]
        open_to_users(again)
        os.close(again)
        unpin("test")
        unpin("test")
        assert pinned("test") is None
        assert not pin_path("test").exists()
        (networks_directory() / "pins").rmdir()
        networks_directory().rmdir()


def test_each_namespace_has_a_name_of_its_own() -> None:
    need_root()
    with own_network():
        one = own_name()
    with own_network():
        assert own_name() != one
