"""Build container images from Dockerfiles, and handle them: the one import of a program that embeds pybuild.

    with pybuild.Store.open() as store:
        outcome = pybuild.build(pybuild.Request.of(context=Path("."), tags=("app",)), store)

What `__all__` lists is public, with what `pybuild.errors`, `pybuild.events` and `pybuild.request` list; everything else
may change at any time. Functions block, print nothing, keep no global state and may be called from several threads. A
failure that is no mistake of the program is a `pybuild.errors.PybuildError`.

Nothing is loaded before it is used. `help(pybuild.build)` and the like show one name; `help(pybuild)` shows all.
"""

if hasattr(__spec__.loader, "archive"):
    # Worse than this would be what works from there: commands, until one starts a program.
    raise ImportError("pybuild cannot run from a zip archive: it starts programs by the names of their files")

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not imported: the sandbox's child and a cached build import this module
    from pybuild import errors as errors
    from pybuild import events as events
    from pybuild import request as request
    from pybuild.builder.api.build import become_root as become_root
    from pybuild.builder.api.build import build as build
    from pybuild.builder.api.cancel import Cancel as Cancel
    from pybuild.builder.api.containers import Container as Container
    from pybuild.builder.api.containers import containers as containers
    from pybuild.builder.api.containers import start as start
    from pybuild.builder.api.images import Image as Image
    from pybuild.builder.api.images import Pruned as Pruned
    from pybuild.builder.api.images import inspect as inspect
    from pybuild.builder.api.images import list as list  # noqa: A004 - read as pybuild.list
    from pybuild.builder.api.images import load as load
    from pybuild.builder.api.images import prune as prune
    from pybuild.builder.api.images import save as save
    from pybuild.builder.api.images import tag as tag
    from pybuild.builder.api.networks import Network as Network
    from pybuild.builder.api.networks import create_network as create_network
    from pybuild.builder.api.networks import networks as networks
    from pybuild.builder.api.registries import copy as copy
    from pybuild.builder.api.registries import pull as pull
    from pybuild.builder.api.registries import push as push
    from pybuild.builder.api.run import Command as Command
    from pybuild.builder.api.run import run as run
    from pybuild.builder.outputs.export import Outcome as Outcome
    from pybuild.builder.request import Request as Request
    from pybuild.builder.store.registries import RegistryAccess as RegistryAccess
    from pybuild.builder.store.store import Store as Store

_MODULES = {
    "Cancel": "pybuild.builder.api.cancel",
    "Command": "pybuild.builder.api.run",
    "Container": "pybuild.builder.api.containers",
    "Image": "pybuild.builder.api.images",
    "Network": "pybuild.builder.api.networks",
    "Outcome": "pybuild.builder.outputs.export",
    "Pruned": "pybuild.builder.api.images",
    "RegistryAccess": "pybuild.builder.store.registries",
    "Request": "pybuild.builder.request",
    "Store": "pybuild.builder.store.store",
    "become_root": "pybuild.builder.api.build",
    "build": "pybuild.builder.api.build",
    "containers": "pybuild.builder.api.containers",
    "copy": "pybuild.builder.api.registries",
    "create_network": "pybuild.builder.api.networks",
    "inspect": "pybuild.builder.api.images",
    "list": "pybuild.builder.api.images",
    "load": "pybuild.builder.api.images",
    "networks": "pybuild.builder.api.networks",
    "prune": "pybuild.builder.api.images",
    "pull": "pybuild.builder.api.registries",
    "push": "pybuild.builder.api.registries",
    "run": "pybuild.builder.api.run",
    "save": "pybuild.builder.api.images",
    "start": "pybuild.builder.api.containers",
    "tag": "pybuild.builder.api.images",
    "errors": "pybuild",
    "events": "pybuild",
    "request": "pybuild",
}
"""Where each public name is defined."""

__all__ = [
    "Cancel",
    "Command",
    "Container",
    "Image",
    "Network",
    "Outcome",
    "Pruned",
    "RegistryAccess",
    "Request",
    "Store",
    "become_root",
    "build",
    "containers",
    "copy",
    "create_network",
    "errors",
    "events",
    "inspect",
    "list",
    "load",
    "networks",
    "prune",
    "pull",
    "push",
    "request",
    "run",
    "save",
    "start",
    "tag",
]


def __getattr__(name: str) -> object:
    """Import what *name* stands for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if _MODULES[name] == __name__:
        return import_module(f"{__name__}.{name}")
    found: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> tuple[str, ...]:
    """Return the public names, loaded or not."""
    return tuple({*globals(), *__all__})
