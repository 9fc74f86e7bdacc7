"""The ops and the module that executes each: `execute` executes one op and returns its layer."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import assert_never

from pybuild.builder.execute.job import Job, Work
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.plan.ops import Base, Copy, Git, Http, Local, Mkdir, Op, Run, Scratch
from pybuild.builder.store.cache import BuiltLayer

__all__ = ["Job", "Work", "execute", "needs_tree", "prepare_for", "recorded"]


def prepare_for(runs: Sequence[Run]) -> AbstractContextManager[None]:
    """Start the fork server of sandboxes in the background, and return a context manager for executing *runs*.

    In its block, private networks are started ahead of the steps that need them. A failure of either is reported by the
    first RUN that needs it.
    """
    if not runs:
        return nullcontext()
    from pybuild.builder.execute.networks import expecting
    from pybuild.runtime.errors import SandboxError
    from pybuild.runtime.sandbox.forkserver_client import start

    with suppress(SandboxError):
        start(len(runs))
    return expecting(runs)


def needs_tree(op: Op) -> bool:
    """Return whether *op* needs the unpacked rootfs: to run a command, or to look up the name of an owner."""
    match op:
        case Run():
            return True
        case Copy(chown=owner) | Mkdir(user=owner):
            from pybuild.builder.execute.owner import is_number

            return bool(owner) and not is_number(owner)
        case _:
            return False


def execute(work: Work) -> BuiltLayer:
    """Execute the op of a job and return its stored layer, as records have it.

    Raises:
        BuildError: the op, or its command, failed.
        LayerError: a file cannot be stored in a layer.
        SandboxError, SandboxUnavailable: the host cannot run a command.
    """
    layer = _execute(work.job.op, work)
    # The archive of a layer has whole seconds only.
    work.store.times.put(str(layer.diff_id), layer.nanoseconds)
    return recorded(layer, work.job.settings.source_date_epoch)


def recorded(layer: Layer, epoch: int | None) -> BuiltLayer:
    """Return *layer* as a record has it. Its time is *epoch*, in seconds, or now."""
    now, descriptor = timestamp(), layer.descriptor
    return BuiltLayer(
        layer.diff_id,
        descriptor.digest,
        descriptor.size,
        descriptor.media_type,
        now if epoch is None else timestamp(epoch * 1_000_000_000),
        made="" if epoch is None else now,
    )


def _execute(op: Op, work: Work) -> Layer:
    match op:
        case Run():
            from pybuild.builder.execute.run import run

            return run(op, work)
        case Copy():
            from pybuild.builder.execute.copy import copy

            return copy(op, work)
        case Mkdir():
            from pybuild.builder.execute.mkdir import mkdir

            return mkdir(op, work)
        case Http():
            from pybuild.builder.execute.http import add_download

            return add_download(op, work)
        case Git():
            from pybuild.builder.execute.git import add_checkout

            return add_checkout(op, work)
        case Scratch() | Base() | Local():
            raise ValueError(f"{type(op).__name__} makes no layer")
        case _:
            assert_never(op)
