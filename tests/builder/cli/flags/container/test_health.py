import pytest

from pybuild.builder.cli.flags.container.health import HealthFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Healthcheck


def test_what_is_not_said_is_left_to_the_image() -> None:
    assert HealthFlags().healthcheck() is None
    assert HealthFlags(health_cmd="x y", health_interval="1m30s", health_retries=4).healthcheck() == Healthcheck(
        test=("CMD-SHELL", "x y"), interval=90_000_000_000, retries=4
    )
    assert HealthFlags(no_healthcheck=True).healthcheck() == Healthcheck(test=("NONE",))


def test_wrong_ones_are_refused() -> None:
    with pytest.raises(RequestError, match="invalid duration"):
        HealthFlags(health_timeout="soon").healthcheck()
    with pytest.raises(RequestError, match="conflicts"):
        HealthFlags(no_healthcheck=True, health_cmd="x").healthcheck()
