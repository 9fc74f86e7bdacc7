"""``pybuild prune``: reclaim the space of data that is not used."""

import sys
import time

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.store.df import reclaimable
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.prune import PruneFlags
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import human_size
from pybuild.builder.progress import silent
from pybuild.builder.prune import gc
from pybuild.builder.prune.eviction import evict
from pybuild.builder.prune.policy import Policy, limits
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker_if_unpacked
from pybuild.runtime.values import frozen

_WARNING = {
    False: "all dangling images, and everything that neither an image nor the build cache needs",
    True: "all dangling images, the whole build cache, all cache mounts, and unpacked layers that no image needs",
}

_LIMITED = "all dangling images, and the build cache beyond the given limits"


@frozen
class ScopeFlags:
    """The kinds of data that are removed, and how that is confirmed and shown."""

    everything: bool = option(
        "-a", "--all", is_flag=True, help="Also remove the whole build cache and all cache mounts."
    )
    force: bool = option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
    quiet: bool = option("-q", "--quiet", is_flag=True, help="Print only how much space was reclaimed.")
    only_cache: bool = option("--build-cache", is_flag=True, help="Remove build cache only, no dangling images.")
    volumes: bool = option("--volumes", is_flag=True, help="Also remove anonymous volumes that no container uses.")
    containers: bool = option("--containers", is_flag=True, help="First remove stopped containers.")


@click.command("prune", cls=Command)
@takes(ScopeFlags, "scope")
@takes(PruneFlags, "wanted", PruneFlags.policy)
@root_option
def command(*, scope: ScopeFlags, wanted: Policy) -> int | None:
    """Remove dangling images and everything else in the store that is not used.

    Images with a name always stay, and so do containers ("container prune" removes those that have ended), but not with
    --containers, which is what "system prune" means. -a also
    removes the build cache and the cache mounts, so that the next build runs every step again. With a filter or a size,
    only that part of the cache is removed. The filter type=exec.cachemount means cache mounts only, type=regular
    everything but cache mounts. What a running build uses stays.

    Limits can be set in config.toml of the store, under [gc], and are also applied after each build. By default the
    cache is kept below 60 % of the disk and 100 GB, with 20 % of the disk free.
    """
    opened = store()
    age = wanted.until  # that of the limits is one of the build cache
    try:
        if wanted.is_empty and not scope.everything:
            wanted = limits(opened.root)
        # As in Docker, -a selects what may be removed; limits of size or age then decide how much of it is.
        everything = scope.everything and wanted.is_empty
        what = _WARNING[everything] if wanted.is_empty else _LIMITED
        if not scope.force and not _confirm(f"all stopped containers, {what}" if scope.containers else what):
            return FAILED
        containers, removed = _prune_containers(opened, age) if scope.containers else ([], 0)
        networks = _prune_networks(opened, age) if scope.containers else []
        images, freed = call_in_worker_if_unpacked(
            _prune, opened, silent, wanted, everything=everything, images=not scope.only_cache
        )
        left = 0 if everything or scope.quiet else call_in_worker_if_unpacked(_left, opened, silent)
        volumes = _prune_volumes(opened, freed) if scope.volumes else []
        freed.size += removed
    finally:
        opened.close()
    if not scope.quiet:
        _list("Deleted Containers", containers)
        _list("Deleted Networks", networks)
        _list("Deleted Volumes", volumes)
        _list("Deleted Images", images)
        _list("Deleted unpacked layers", freed.snapshots)
        _list("Deleted cache mounts", [clean_line(name.removeprefix("cache mount ")) for name in freed.mounts])
        _list("Deleted blobs", [str(digest) for digest in freed.blobs])
        say(f"Deleted build cache records: {freed.records}\n")
    say(f"Total reclaimed space: {human_size(freed.size)}")
    if left:
        click.echo(f"hint: the build cache has {human_size(left)} more; pybuild prune -a removes it", err=True)
    return None


def _prune(
    opened: Store, _send_event: SendEvent, wanted: Policy, *, everything: bool, images: bool
) -> tuple[list[str], gc.Freed]:
    """Remove data as *wanted*; return the IDs of dangling images that were removed, and what was freed."""
    with opened.collecting():
        unnamed = gc.drop_unnamed(opened) if images else []
        evicted = gc.Freed() if wanted.is_empty else evict(opened, wanted)
        freed = gc.collect(opened, everything=everything)
        freed.add(evicted)
    return unnamed, freed


def _prune_containers(opened: Store, age: float | None) -> tuple[list[str], int]:
    """Remove the stopped containers, with an *age* only older ones; return their ids and the bytes that were freed."""
    from pybuild.builder.cli.commands.container.lifecycle.prune import remove_stopped
    from pybuild.builder.cli.format.container_filters import prune_filter
    from pybuild.builder.containers.catalog import all_containers

    if not all_containers(opened.root):  # an ordinary user has none
        return [], 0
    return remove_stopped(prune_filter([] if age is None else [f"until={age}s"]))


def _prune_networks(opened: Store, age: float | None) -> list[str]:
    """Remove the networks that no running container uses, with an *age* only older ones; return their names."""
    from pybuild.builder.containers.logs import moment_of
    from pybuild.builder.networks.catalog import Networks

    latest = time.time() - (age or 0)
    return Networks(opened.root).prune(lambda each: age is None or moment_of(each.created) <= latest)


def _prune_volumes(opened: Store, freed: gc.Freed) -> list[str]:
    """Remove the anonymous volumes that no container uses; return their names, and add their size to *freed*."""
    from pybuild.builder.containers.files import size_of
    from pybuild.builder.containers.volumes import Volumes

    volumes = Volumes(opened)
    sizes = {each.name: size_of(opened, volumes.data(each.name)) for each in volumes.all() if each.anonymous}
    gone = volumes.prune(each for each in volumes.all() if each.name in sizes)
    freed.size += sum(sizes[name] for name in gone)
    return gone


def _left(opened: Store, _send_event: SendEvent) -> int:
    with opened.in_use():
        return reclaimable(opened)


def _list(title: str, names: list[str]) -> None:
    if names:
        say(f"{title}:")
        for name in names:
            say(f"deleted: {name}")
        say("")


def _confirm(what: str) -> bool:
    click.echo(f"WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ", nl=False)
    answer = sys.stdin.readline()
    return answer.strip().lower() in {"y", "yes"}
