"""Building an image."""

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import door
from pybuild.builder.build import Outcome
from pybuild.builder.build import build as carry_out
from pybuild.builder.progress import Progress, silent
from pybuild.builder.request import Request
from pybuild.builder.store.store import Store


def build(request: Request, store: Store, progress: Progress = silent, *, cancel: Cancel | None = None) -> Outcome:
    """Build the target of a Dockerfile, keep the image in *store* and write it to the outputs of *request*.

    Blocks until the build ends, and may be called in any thread; several builds may share a store. *progress* is called
    with each event, from several threads at once. *cancel* ends the build from another thread.

    Nothing is named or written unless the whole build succeeds; finished steps stay in the cache.

    Raises:
        errors.DockerfileError, errors.ResolveError: the Dockerfile is wrong; `location` says where.
        errors.RequestError: *request* cannot be met.
        errors.StepFailed: a step failed, with its exit code and the last lines of its output.
        errors.PullFailed, errors.PushFailed: a registry failed.
        errors.Cancelled: *cancel* was used, or a KeyboardInterrupt came while steps ran.
        errors.PybuildError: any other failure that is not a bug, such as a full disk.
    """
    with door(cancel):
        return carry_out(request, store, progress)
