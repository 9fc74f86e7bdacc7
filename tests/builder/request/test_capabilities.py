import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request.capabilities import capabilities, named
from pybuild.runtime.kernel.capabilities import DEFAULT, EVERY, mask


def test_names_are_dockers_with_and_without_their_beginning() -> None:
    assert named(("net_admin", "CAP_CHOWN", "cap_chown"), ("all",)) == (("CAP_CHOWN", "CAP_NET_ADMIN"), ("ALL",))


def test_what_is_in_both_is_added_unless_all_are() -> None:
    assert capabilities(*named(("MKNOD",), ("MKNOD",)), EVERY) == DEFAULT
    assert capabilities(*named(("ALL",), ("MKNOD",)), EVERY) == EVERY & ~mask("MKNOD")
    assert capabilities(*named((), ("ALL", "MKNOD")), EVERY) == 0


def test_one_that_this_process_lacks_is_refused_only_where_it_is_named() -> None:
    held = EVERY & ~mask("SYS_TIME")
    with pytest.raises(RequestError, match="cannot add the capability CAP_SYS_TIME: pybuild does not have it"):
        capabilities(*named(("SYS_TIME",), ()), held)
    assert capabilities(*named(("ALL",), ()), held) == EVERY
    assert capabilities(*named(("SYS_NICE",), ()), held) == DEFAULT | mask("SYS_NICE")
