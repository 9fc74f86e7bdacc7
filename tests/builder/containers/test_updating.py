"""Which limits a container has after others were asked for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.config import Config, HostConfig, Program
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.updating import tell_missing, update
from pybuild.runtime.sandbox.spec import ResourceLimits

IDENTITY = "ab" * 32


def stored(tmp_path: Path, **host: Any) -> StoredContainer:
    config = Config(
        id=IDENTITY, created="", image="box", image_id="", program=Program(cmd=("x",)), host=HostConfig(**host)
    )
    directory = tmp_path / "containers" / IDENTITY
    directory.mkdir(parents=True)
    config.write(directory)
    return StoredContainer(directory, config, "c1")


def updated(container: StoredContainer, restart: tuple[str, int] | None = None, **limits: Any) -> HostConfig:
    said: list[str] = []
    update(SimpleNamespace(tell=said.append), container, ResourceLimits(**limits), restart)  # type: ignore[arg-type]
    assert said == []
    return Config.from_json((container.directory / "config.json").read_text()).host


def test_those_that_are_not_asked_for_stay(tmp_path: Path) -> None:
    container = stored(tmp_path, limits=ResourceLimits(memory=8, shm_size=7, ulimits=(("nofile", 1, 2),)))
    host = updated(container, pids=3)
    assert host.limits == ResourceLimits(memory=8, shm_size=7, ulimits=(("nofile", 1, 2),), pids=3)
    assert host.restart == "no"


def test_a_policy(tmp_path: Path) -> None:
    host = updated(stored(tmp_path), ("on-failure", 3))
    assert (host.restart, host.restart_most) == ("on-failure", 3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"cpu_quota": 5}, {"nano_cpus": 5}),
        ({"nano_cpus": 5}, {"cpu_period": 5}),
        ({"memory": 5, "memory_swap": 6}, {"memory": 7}),
    ],
)
def test_what_does_not_go_together_changes_nothing(tmp_path: Path, old: dict[str, int], new: dict[str, int]) -> None:
    container = stored(tmp_path, limits=ResourceLimits(**old))  # type: ignore[arg-type]
    with pytest.raises(ContainerError):
        updated(container, **new)
    assert Config.from_json((container.directory / "config.json").read_text()) == container.config


def test_what_is_missing_is_said_in_one_line() -> None:
    said: list[str] = []
    store: Any = SimpleNamespace(tell=said.append)
    tell_missing(store, ())
    tell_missing(store, ("memory", "pids"))
    assert [text.partition(":")[0] for text in said] == ["the limits memory, pids are not kept"]
