"""``pybuild cp``: copy files between a container and the host."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EROFS
from pathlib import Path
from posixpath import normpath

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.flags.no_op import add_no_op_flags
from pybuild.builder.cli.tools import open_stdin
from pybuild.builder.containers.archives import pack, unpack_into
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.copying import Copier, copy
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.files import check_writable, whole_tree
from pybuild.builder.containers.namespace import call_in_containers, container_access
from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import frozen

_TOP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@frozen
class _Copying:
    """A copy between *container* and the host: either *source* or *target* is a path in the container."""

    container: StoredContainer
    source: str
    target: str
    archive: bool
    follow: bool


@click.command("cp", cls=Command)
@click.argument("source", metavar="CONTAINER:SOURCE|SOURCE")
@click.argument("target", metavar="TARGET|CONTAINER:TARGET")
@click.option("-a", "--archive", is_flag=True, help="Keep the owner and the group of files.")
@click.option("-L", "--follow-link", is_flag=True, help="Follow a symlink at SOURCE.")
@add_no_op_flags("-q/--quiet")
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
            copying = _Copying(container=container, source=path, target=target, archive=archive, follow=follow_link)
            call_in_containers(_out, containers.store, copying)
            container.log_event("archive-path", path=path)
            return
        copying = _Copying(container=container, source=source, target=place, archive=archive, follow=follow_link)
        with (
            open_stdin() if source == "-" else Path(os.devnull).open("rb") as stream,
            container_access(containers.store, (stream.fileno(),)) as access,
        ):
            access.call(_into, copying, stream.fileno())
        container.log_event("extract-to-dir", path=place)


def _out(store: Store, _send_event: SendEvent, copying: _Copying) -> None:
    copier = Copier(None if copying.archive else (os.getuid(), os.getgid()))
    path = _inside(copying.source)
    with (
        _writable(copying.target),
        whole_tree(Containers(store), copying.container, writes=False) as tree,
        _host() as host,
    ):
        if copying.target == "-":
            with destination(None) as file:
                pack(tree, path, sink(file), follow=copying.follow)
        else:
            copy((tree, path), (host, _absolute(copying.target)), copier, follow=copying.follow)


def _into(store: Store, _send_event: SendEvent, copying: _Copying, stdin: int) -> None:
    copier = Copier(None if copying.archive else (0, 0))
    path = _inside(copying.target)
    check_writable(copying.container, path)
    with (
        _writable(f"/{path}"),
        whole_tree(Containers(store), copying.container, writes=True) as tree,
        _host() as host,
    ):
        if copying.source == "-":
            with open(stdin, "rb", closefd=False) as stream:
                unpack_into(tree, path, stream)
        else:
            copy((host, _absolute(copying.source)), (tree, path), copier, follow=copying.follow)


@contextmanager
def _writable(path: str) -> Iterator[None]:
    """Name *path* in the error of a block that finds it read-only, for which the store would be blamed."""
    try:
        yield
    except OSError as error:
        if error.errno != EROFS:
            raise
        # With the OSError as its cause it would be one of the host, whose store cannot be written.
        raise ContainerError(f"{path}: {os.strerror(EROFS).lower()}") from None


def _host() -> Root:
    return Root(os.open("/", _TOP))


def _absolute(path: str) -> str:
    """Return a path of the host without its first slash. A slash, or a slash and a dot, at its end is kept."""
    return os.fspath(Path(path).absolute()).lstrip("/") + _end_of(path) or "."


def _inside(path: str) -> str:
    """Return a path of a container in the same form. Paths of a container begin at its root."""
    return (normpath("/" + path.lstrip("/")) + _end_of(path)).lstrip("/") or "."


def _end_of(path: str) -> str:
    return "/." if path.endswith("/.") else "/" if path.endswith("/") else ""


def _split(text: str) -> tuple[str, str]:
    """Return the container and the path. The container is "" for a path of the host, such as one with a slash first."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and not text.startswith(("/", ".")) else ("", text)
