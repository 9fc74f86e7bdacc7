from pathlib import Path

import pytest

from pybuild.builder.cli.failures import Described
from pybuild.builder.cli.format.networks import network_filter, network_row
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.values import NetworkConfig

ONE = NetworkConfig(id="0" * 64, name="one", created="then", labels=(("a", "b"), ("c", "")), internal=True)


def test_the_fields_of_a_network() -> None:
    row = network_row(ONE, whole=False)
    assert (row["ID"], row["Name"], row["Labels"], row["Internal"]) == ("0" * 12, "one", "a=b,c=", "true")
    assert network_row(ONE, whole=True)["ID"] == "0" * 64


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        (("name=on",), True),
        (("name=two", "name=one"), True),
        (("name=one", "driver=macvlan"), False),
        (("label=a=b", "type=custom"), True),
        (("label=a=c",), False),
        (("label=a", "label=c="), True),
        (("label=a", "label=x"), False),
        (("type=builtin",), False),
        (("id=000", "scope=local", "dangling=true"), True),
        (("dangling=false",), False),
    ],
)
def test_of_filters_of_one_key_one_must_pass(tmp_path: Path, given: tuple[str, ...], passes: bool) -> None:
    assert network_filter(given, Networks(tmp_path))(ONE) is passes


@pytest.mark.parametrize("given", ["name", "odd=1", "type=odd", "dangling=odd"])
def test_what_is_no_filter_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises((RequestError, Described)):
        network_filter((given,), Networks(tmp_path))
