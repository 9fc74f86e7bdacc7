"""Public error classes, with one base class, for failures of packages below the builder.

The grammar, the runtime and the OCI library have error classes of their own; these are the cause of the ones here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.errors import Cancelled, PybuildError, RequestError, reason
from pybuild.runtime.stopping import stoppable


class DockerfileError(PybuildError):
    """A mistake in the Dockerfile at *span* of *source*; `location` is its place as text."""


class ImageError(PybuildError):
    """An image is damaged, or a registry failed. A failed pull or push is a `PullFailed` or `PushFailed` instead."""


class ImageNotFound(ImageError):
    """No image has this name."""


class HostError(PybuildError):
    """The kernel, the disk or a file of the host failed; the cause is the OSError, if there is one."""


class SandboxUnavailable(HostError):
    """This host or process cannot run a sandbox; *hint* says what to change."""


@contextmanager
def public_operation(cancel: Cancel | None = None) -> Iterator[None]:
    """Run the block for an embedding program: *cancel* ends it, and its failures are raised as PybuildError."""
    token = cancel or Cancel()
    try:
        with stoppable(token.check):
            token.check()
            yield
    except PybuildError:
        raise
    except Exception as error:
        found = _translate(error)
        if found is None:
            raise
        # An interrupted transfer has a message of its own.
        raise (Cancelled("cancelled") if token.cancelled else found) from error


def _translate(error: Exception) -> PybuildError | None:
    """Return *error* as a PybuildError, None when it is a bug."""
    from pybuild.builder.oci import errors as oci
    from pybuild.grammar.errors import DockerfileError as GrammarError
    from pybuild.grammar.reference import InvalidReference
    from pybuild.runtime import errors as runtime

    message, hint = reason(error), str(getattr(error, "hint", ""))
    match error:
        case GrammarError():
            found = DockerfileError(error.message, hint=hint, span=error.span)
            found.source = error.source
            return found
        case InvalidReference():
            return RequestError(message, hint=hint)
        case oci.ImageNotFound():
            return ImageNotFound(message, hint=hint)
        case oci.OciError():
            return ImageError(message, hint=hint)
        case runtime.SandboxUnavailable():
            return SandboxUnavailable(message, hint=hint)
        case runtime.RuntimeHostError() | OSError():
            return HostError(message, hint=hint)
        case _:
            return None
