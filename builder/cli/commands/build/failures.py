"""How a failed build is reported: with its place in the Dockerfile, when the failure has the text of it."""

from pybuild.builder.cli.failures import USAGE, Described, Failure, describe, failed_code
from pybuild.builder.display.failure import build_failure, language_failure, step_failure
from pybuild.builder.errors import BuildError, Cancelled, ResolveError, StepFailed
from pybuild.grammar.errors import DockerfileError


def described(error: BuildError | DockerfileError, *, logged: bool = False) -> Described:
    """Return the failure to raise in place of *error*; *logged* means that the log of the step was shown."""
    source = error.source
    if isinstance(error, StepFailed):
        return Described(Failure(step_failure(error, source, logged=logged), failed_code(error)))
    if isinstance(error, Cancelled) or source is None or error.span is None:
        return Described(describe(error))
    if isinstance(error, DockerfileError):
        return Described(Failure(language_failure(error, source), USAGE))
    return Described(
        Failure(build_failure(error, source), USAGE if isinstance(error, ResolveError) else failed_code(error))
    )
