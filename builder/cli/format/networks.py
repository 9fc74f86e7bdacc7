"""Networks as rows of a listing, in the format of ``docker network ls``, and the filters of the listing."""

from collections.abc import Callable, Iterable

from pybuild.builder.cli.format.filters import by_key, has_label, passing
from pybuild.builder.cli.format.listing import LabelText, Row
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.catalog import PREDEFINED, Networks
from pybuild.builder.networks.values import NetworkConfig
from pybuild.builder.options import boolean

_Test = Callable[[NetworkConfig], bool]
_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type")
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


def network_row(network: NetworkConfig, *, whole: bool) -> Row:
    """Return the fields of a network. With *whole* its id is not shortened."""
    return {
        "ID": network.id if whole else network.id[:_SHORT],
        "Name": network.name,
        "Driver": network.driver,
        "Scope": "local",
        "CreatedAt": network.created,
        "Internal": str(network.internal).lower(),
        "IPv6": str(bool(network.subnet6)).lower(),
        "Labels": LabelText(sorted(network.labels)),
    }


def network_filter(filters: Iterable[str], networks: Networks) -> _Test:
    """Return the test for *filters*. Raises RequestError."""
    return passing(by_key(filters, _KEYS), lambda key, value: _test(key, value, networks))


def _test(key: str, value: str, networks: Networks) -> _Test:
    match key:
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
            return lambda network: has_label(network.labels, value)
        case _:
            raise RequestError(f"invalid filter '{key}={value}'", hint="use builtin or custom")
