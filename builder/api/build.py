"""Building an image, also as an ordinary user."""

import os

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.build import build as carry_out
from pybuild.builder.outputs.export import Outcome
from pybuild.builder.progress import Progress, silent
from pybuild.builder.request import Request
from pybuild.builder.store.directory import default_root
from pybuild.builder.store.store import Store


def build(request: Request, store: Store, progress: Progress = silent, *, cancel: Cancel | None = None) -> Outcome:
    """Build the target of a Dockerfile, keep the image in *store* and write it to the outputs of *request*.

    Blocks until the build ends, and may be called in any thread; several builds may share a store. *progress* is called
    with each event, from several threads at once. *cancel* ends the build from another thread.

    Nothing is named or written unless the whole build succeeds; finished steps stay in the cache.

        request = pybuild.Request.of(context=Path("."), tags=("app:1",))
        outcome = pybuild.build(request, store, print)

    Raises:
        errors.DockerfileError, errors.ResolveError: the Dockerfile is wrong; `location` says where.
        errors.RequestError: *request* cannot be met.
        errors.StepFailed: a step failed, with its exit code and the last lines of its output.
        errors.PullFailed, errors.PushFailed: a registry failed.
        errors.Cancelled: *cancel* was used, or a KeyboardInterrupt came while steps ran.
        errors.PybuildError: any other failure that is not a bug, such as a full disk.
    """
    with public_operation(cancel):
        return carry_out(request, store, progress)


def become_root() -> None:
    """Make the process of an ordinary user root of a user namespace, once and for good. No function here needs it.

    What only root can do is handed over to a process that is root of a user namespace, so a program may have threads
    and build. A program that calls this is that process itself, which saves starting the other one.

    Call it at the start of the program: the process must have one thread and no running event loop. Does nothing for
    root. The user needs 65535 subordinate ids in /etc/subuid and /etc/subgid, and the programs newuidmap and newgidmap.
    The store that is opened by default stays the user's own: its directory becomes $PYBUILD_ROOT, when that is not set.

        pybuild.become_root()
        with pybuild.Store.open() as store:
            pybuild.build(request, store)

    Raises:
        errors.SandboxUnavailable: there is another thread or a running event loop, and the process is as it was; or
            this host does not permit it.
    """
    if os.geteuid() == 0:
        return
    from pybuild.runtime.sandbox import user_namespace

    with public_operation():
        store = default_root()
        user_namespace.become_root()
        # The default store of root is another one, and child processes would use it.
        os.environ["PYBUILD_ROOT"] = os.fspath(store)
