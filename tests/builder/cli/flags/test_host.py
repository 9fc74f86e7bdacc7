"""What --volume and --dns make of their values."""

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pybuild.builder.cli.flags.host import HostFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Changes, Volume


def values(**flags: Any) -> Changes:
    return HostFlags(**flags).request()


def test_a_volume_is_a_path_of_the_host_and_a_target(tmp_path: Path) -> None:
    found = values(volumes=(f"{tmp_path}:/a", f"{tmp_path}:/b/:ro,Z", f"{tmp_path}:/c:rw"))["volumes"]
    assert found == (
        Volume(host_path=tmp_path, target=PurePosixPath("/a")),
        Volume(host_path=tmp_path, target=PurePosixPath("/b"), read_only=True),
        Volume(host_path=tmp_path, target=PurePosixPath("/c")),
    )


def test_name_servers_replace_those_of_the_host() -> None:
    assert values()["resolv_conf"] == ""
    found = values(dns=("1.2.3.4", "::1"), dns_search=("a.b", "c"), dns_option=("ndots:2",))["resolv_conf"]
    assert found == "nameserver 1.2.3.4\nnameserver ::1\nsearch a.b c\noptions ndots:2\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"volumes": ("/",)}, "invalid --volume '/'"),
        ({"volumes": ("/:/a:O",)}, "invalid --volume '/:/a:O'"),
        ({"volumes": ("name:/a",)}, "named volumes are not supported"),
        ({"volumes": ("/not/there:/a",)}, "/not/there does not exist"),
        ({"volumes": ("/:a",)}, "invalid target 'a'"),
        ({"volumes": ("/:/",)}, "invalid target '/'"),
        ({"dns": ("server",)}, "invalid --dns 'server'"),
        ({"dns": ("fe80::1%eth0",)}, "invalid --dns 'fe80::1%eth0'"),
        ({"dns": ("1.2.3.4",), "dns_search": ("a b",)}, "invalid --dns-search or --dns-option 'a b'"),
        ({"dns_search": ("a",)}, "--dns-search and --dns-option need --dns"),
    ],
)
def test_values_that_mean_nothing_are_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        values(**flags)
