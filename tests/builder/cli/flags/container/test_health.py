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


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (HealthFlags(health_interval="-1s"), "--health-interval cannot be negative"),
        (HealthFlags(health_timeout="1us"), "--health-timeout cannot be less than 1ms"),
        (HealthFlags(health_start_period="-1ns"), "--health-start-period cannot be negative"),
        (HealthFlags(health_start_interval="999us"), "--health-start-interval cannot be less than 1ms"),
        (HealthFlags(health_cmd="true", health_retries=-1), "--health-retries cannot be negative"),
    ],
)
def test_times_that_docker_refuses_are_refused(flags: HealthFlags, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        flags.healthcheck()
    assert refused.value.message == message
    assert HealthFlags(health_interval="1ms", health_start_period="0s").healthcheck() is not None
