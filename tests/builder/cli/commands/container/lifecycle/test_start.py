"""Containers are started again after a boot, by those of their policies that say so."""

from pybuild.builder.containers.catalog import Containers
from pybuild.builder.containers.state import is_watched, write_state
from pybuild.runtime.values import replace
from tests.builder.cli.commands.container.conftest import LOOP, until
from tests.builder.cli.conftest import Shop


def names(pen: Shop, *flags: str) -> list[str]:
    return sorted(pen.run("ps", *flags, "--format", "{{.Names}}").lines)


def test_after_a_boot_what_ran_has_exited_and_policies_start_it(pen: Shop) -> None:
    policies = {"c-always": "always", "c-unless": "unless-stopped", "c-failed": "on-failure:3", "c-none": "no"}
    told = [
        pen.run("run", "-d", "--name", name, "--restart", policy, "box", *LOOP).err for name, policy in policies.items()
    ]
    assert ["note: containers do not start by themselves" in text for text in told] == [True, False, False, False]
    pen.run("run", "-d", "--name", "c-stopped", "--restart", "unless-stopped", "box", *LOOP)
    pen.run("create", "--name", "c-created", "--restart", "always", "box", *LOOP)
    pen.run("stop", "-t", "0", "c-stopped")
    for container in Containers(pen.store).all():
        if container.name in policies:
            before = container.state
            pen.run("kill", container.name)
            # The monitor writes its last state a moment before it ends, and while it lives it makes a state true.
            until(lambda container=container: not is_watched(container.directory))
            # As the host left it when it went down.
            write_state(container.directory, replace(before, boot="another", pid=before.pid, stopped=False))
    assert pen.run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", *policies).lines == ["exited 255"] * 4
    assert names(pen) == []
    assert sorted(pen.run("container", "start", "--restart-policies").lines) == ["c-always", "c-failed", "c-unless"]
    assert names(pen) == ["c-always", "c-failed", "c-unless"]
    assert pen.run("start", "--restart-policies").out == ""


def test_names_or_policies(pen: Shop) -> None:
    for words in ((), ("c1", "--restart-policies")):
        assert "needs names of containers, or --restart-policies" in pen.run("start", *words).err
