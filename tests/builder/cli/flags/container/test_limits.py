import pytest

from pybuild.builder.cli.flags.container.limits import ContainerLimitFlags
from pybuild.builder.errors import RequestError
from pybuild.runtime.sandbox.spec import SHM_SIZE, ResourceLimits


def test_limits_are_those_of_a_sandbox() -> None:
    assert ContainerLimitFlags().limits() == ResourceLimits(shm_size=SHM_SIZE)
    assert ContainerLimitFlags(
        memory="1m", cpus="1.5", pids_limit="7", ulimits=("nofile=3:4",), shm_size="2m"
    ).limits() == (
        ResourceLimits(memory=1 << 20, cpu_quota=150_000, pids=7, ulimits=(("nofile", 3, 4),), shm_size=2 << 20)
    )
    assert ContainerLimitFlags(pids_limit="-1").limits() == ContainerLimitFlags().limits()


@pytest.mark.parametrize(
    "flags", [{"memory": "x"}, {"cpus": "0"}, {"cpus": "x"}, {"cpus": "1", "cpu_quota": "5"}, {"pids_limit": "x"}]
)
def test_wrong_ones_are_refused(flags: dict[str, str]) -> None:
    with pytest.raises(RequestError):
        ContainerLimitFlags(**flags).limits()
