"""``update``: changing the limits and the restart policy of a container, which may run."""

import os
from contextlib import suppress

from pybuild.builder.containers.catalog import StoredContainer, locked
from pybuild.builder.containers.config import Config
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.recovery import groups_parent, settle
from pybuild.builder.store.store import Store
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import NoMonitor, ask
from pybuild.runtime.sandbox.lasting_groups import change_groups
from pybuild.runtime.sandbox.spec import ResourceLimits
from pybuild.runtime.values import fields, replace


def update(store: Store, container: StoredContainer, wanted: ResourceLimits, restart: tuple[str, int] | None) -> None:
    """Change the limits that *wanted* has, and the restart policy if *restart* is not None.

    The user is told which limits no control group of this host enforces.

    Raises:
        ContainerError: the new limits contradict those that stay.
        NoSuchContainer: the container was removed.
    """
    with locked(container):
        state = settle(container)
        config = _changed(container.config, wanted, restart)
        config.write(container.directory)
        if state.runs:
            tell_missing(store, change_groups(container.id, groups_parent(container), config.host.limits))
        if restart is not None:
            with suppress(NoMonitor):
                ask(container.directory, messages.UPDATE + b"%d %s" % (restart[1], os.fsencode(restart[0])))
    container.log_event("update")


def _changed(config: Config, wanted: ResourceLimits, restart: tuple[str, int] | None) -> Config:
    """Return *config* with the new limits and policy. Raises ContainerError when they contradict what stays."""
    around = config.host
    given = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    given = {name: value for name, value in given.items() if value not in {None, "", (), False}}
    limits = replace(around.limits, **given)
    _check(around.limits, limits, given)
    if restart is None:
        return replace(config, host=replace(around, limits=limits))
    if around.auto_remove and restart[0] != "no":
        raise ContainerError("Restart policy cannot be updated because AutoRemove is enabled for the container")
    return replace(config, host=replace(around, limits=limits, restart=restart[0], restart_most=restart[1]))


def _check(old: ResourceLimits, new: ResourceLimits, given: dict[str, object]) -> None:
    if old.nano_cpus and {"cpu_quota", "cpu_period"} & given.keys():
        raise ContainerError("conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")
    if (old.cpu_quota or old.cpu_period) and "nano_cpus" in given:
        raise ContainerError("conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")
    if new.memory_swap and 0 < new.memory_swap < (new.memory or 0):
        raise ContainerError(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )


def tell_missing(store: Store, missing: tuple[str, ...]) -> None:
    """Tell the user which limits are not enforced."""
    if missing:
        limits = f"the limits {', '.join(missing)} are" if missing[1:] else f"the limit {missing[0]} is"
        store.tell(f"{limits} not kept: no control group here holds more, see pybuild doctor")
