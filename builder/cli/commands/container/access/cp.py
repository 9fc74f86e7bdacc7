"""``pybuild cp``: files into containers and out of them."""

import os
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.flags.silent import taken
from pybuild.builder.cli.tools import binary_stdin
from pybuild.builder.containers.archives import pack, unpack_into
from pybuild.builder.containers.copying import Copier, copy
from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.files import place_in, whole_tree
from pybuild.builder.containers.namespace import within_with
from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.store.inside import Tell
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.safepath import Root

_TOP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@click.command("cp", cls=Command)
@click.argument("source", metavar="CONTAINER:SOURCE|SOURCE")
@click.argument("target", metavar="TARGET|CONTAINER:TARGET")
@click.option("-a", "--archive", is_flag=True, help="Keep the owner and the group of files.")
@click.option("-L", "--follow-link", is_flag=True, help="Follow a symlink at SOURCE.")
@taken("-q/--quiet")
@root_option
def command(source: str, target: str, *, archive: bool, follow_link: bool) -> None:
    """Copy files or directories between a container, which need not run, and the host.

    As in Docker a directory that ends with /. is copied without its own name. With "-" as TARGET a tar archive is
    written to standard output; with "-" as SOURCE one is read from standard input, compressed or not, and its files
    are put into a directory, with the owners that they have there.
    """
    (name, path), (other, place) = _split(source), _split(target)
    if bool(name) == bool(other):
        reason = "copying between containers is not supported" if name else "must specify at least one container source"
        raise RequestError(reason)
    with opened_containers() as containers:
        container = containers.find(name or other)
        if name:
            within_with((), containers.store, _out, container, path, target, owners=archive, follow=follow_link)
            container.tell("archive-path", path=path)
            return
        with binary_stdin() if source == "-" else Path(os.devnull).open("rb") as stream:
            fd, places = stream.fileno(), (source, place)
            within_with((fd,), containers.store, _into, container, places, fd, owners=archive, follow=follow_link)
        container.tell("extract-to-dir", path=place)


def _out(
    store: Store, _tell: Tell, container: StoredContainer, source: str, target: str, *, owners: bool, follow: bool
) -> None:
    copier = Copier(None if owners else (os.getuid(), os.getgid()))
    with whole_tree(Containers(store), container) as tree, _host() as host:
        place, path = place_in(container, tree, source)
        with place:
            if target == "-":
                with destination(None) as file:
                    pack(place, path, sink(file), follow=follow)
            else:
                copy((place, path), (host, _absolute(target)), copier, follow=follow)


def _into(
    store: Store,
    _tell: Tell,
    container: StoredContainer,
    places: tuple[str, str],
    stdin: int,
    *,
    owners: bool,
    follow: bool,
) -> None:
    source, target = places
    copier = Copier(None if owners else (0, 0))
    with whole_tree(Containers(store), container) as tree, _host() as host:
        place, path = place_in(container, tree, target)
        with place:
            if source == "-":
                with open(stdin, "rb", closefd=False) as stream:
                    unpack_into(place, path, stream)
            else:
                copy((host, _absolute(source)), (place, path), copier, follow=follow)


def _host() -> Root:
    return Root(os.open("/", _TOP))


def _absolute(path: str) -> str:
    """Return a path of the host without its first slash; a slash, or a slash and a dot, at its end count."""
    end = "/." if path.endswith("/.") else "/" if path.endswith("/") else ""
    return os.fspath(Path(path).absolute()).lstrip("/") + end or "."


def _split(text: str) -> tuple[str, str]:
    """Return the container and the path, "" and the path for one of the host, which begins with a slash or a dot."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and not text.startswith(("/", ".")) else ("", text)
