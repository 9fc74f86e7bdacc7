"""Networks as rows of a listing, in the words of ``docker network ls``, and its filters. Raises RequestError."""

from collections.abc import Callable, Iterable

from pybuild.builder.cli.format.listing import Row
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.directory import PREDEFINED, Networks
from pybuild.builder.networks.values import NetworkConfig
from pybuild.builder.options import boolean

_Test = Callable[[NetworkConfig], bool]
_SHORT = 12
HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "CreatedAt": "CREATED AT",
    "Internal": "INTERNAL",
    "IPv6": "IPV6",
    "Labels": "LABELS",
}


def network_row(each: NetworkConfig, *, whole: bool) -> Row:
    """Return the fields of a network; *whole*: its id is not cut off."""
    return {
        "ID": each.id if whole else each.id[:_SHORT],
        "Name": each.name,
        "Driver": each.driver,
        "Scope": "local",
        "CreatedAt": each.created,
        "Internal": str(each.internal).lower(),
        "IPv6": "false",
        "Labels": ",".join(f"{name}={value}" for name, value in each.labels),
    }


def network_filter(given: Iterable[str], networks: Networks) -> _Test:
    """Return the test for a network: of several filters with the same key one must pass."""
    by_key: dict[str, list[_Test]] = {}
    for item in given:
        by_key.setdefault(item.partition("=")[0], []).append(_test(item, networks))
    return lambda network: all(any(test(network) for test in tests) for tests in by_key.values())


def _test(item: str, networks: Networks) -> _Test:
    key, mark, value = item.partition("=")
    match key if mark else "":
        case "name":
            return lambda network: value in network.name
        case "id":
            return lambda network: network.id.startswith(value)
        case "driver":
            return lambda network: network.driver == value
        case "scope":
            return lambda _network: value == "local"
        case "type" if value in {"builtin", "custom"}:
            return lambda network: (network.name in PREDEFINED) is (value == "builtin")
        case "dangling":
            dangling = boolean(key, value, "--filter")
            return lambda network: network.name not in PREDEFINED and bool(networks.users(network.id)) is not dangling
        case "label":
            name, equals, text = value.partition("=")
            return lambda network: (
                (found := dict(network.labels).get(name)) is not None and (not equals or found == text)
            )
        case _:
            raise RequestError(f"invalid filter '{item}'", hint="use name=, id=, driver=, label=, type= or dangling=")
