"""How a failed build is told: with the place in the Dockerfile, which is read again for that."""

from builder.commands.failures import USAGE, Failure, Told, describe, failed_code
from builder.display.failure import build_failure, language_failure, step_failure
from builder.errors import BuildError, Cancelled, ResolveError, StepFailed
from builder.request import Request
from grammar.errors import DockerfileError
from grammar.source import Source


def told(error: BuildError | DockerfileError, request: Request) -> Told:
    """Return the failure to raise in place of *error*."""
    source = dockerfile_source(request)
    if isinstance(error, StepFailed):
        return Told(Failure(step_failure(error, source), failed_code(error)))
    if isinstance(error, Cancelled) or source is None or error.span is None:
        return Told(describe(error))
    if isinstance(error, DockerfileError):
        return Told(Failure(language_failure(error, source), USAGE))
    return Told(Failure(build_failure(error, source), USAGE if isinstance(error, ResolveError) else failed_code(error)))


def dockerfile_source(request: Request) -> Source | None:
    """Return the Dockerfile that *request* means, None when it cannot be read."""
    from builder.dockerfile import read_dockerfile

    try:
        file = read_dockerfile(request)
    except (BuildError, OSError):
        return None
    return Source(file.name, file.text)
