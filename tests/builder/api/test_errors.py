"""Whatever fails below the door reaches an embedder as one kind of error, which keeps what it knew."""

import pytest

from pybuild import errors
from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.oci.errors import ImageNotFound, InvalidImage, RegistryError
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.reference import InvalidReference
from pybuild.grammar.source import Source, Span
from pybuild.runtime.errors import SandboxError, SandboxUnavailable, SnapshotError
from pybuild.runtime.stopping import check


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (DockerfileError("m"), errors.DockerfileError),
        (InvalidReference("m"), errors.RequestError),
        (ImageNotFound("m", hint="h"), errors.ImageNotFound),
        (InvalidImage("m", hint="h"), errors.ImageError),
        (RegistryError("m", hint="h", status=500), errors.ImageError),
        (SandboxUnavailable("m", "h"), errors.SandboxUnavailable),
        (SandboxError("mount", "/x", 1), errors.HostError),
        (SnapshotError("m"), errors.HostError),
        (OSError(28, "No space left on device", "/x"), errors.HostError),
        (errors.StoreError("m", hint="h"), errors.StoreError),
    ],
)
def test_every_failure_is_translated_with_its_hint_and_its_cause(
    below: Exception, above: type[errors.PybuildError]
) -> None:
    with pytest.raises(errors.PybuildError) as caught, public_operation():
        raise below
    assert type(caught.value) is above
    assert caught.value.hint == getattr(below, "hint", "")
    assert below in {caught.value, caught.value.__cause__}
    assert "[Errno" not in str(caught.value)


def test_a_mistake_in_the_dockerfile_keeps_its_place() -> None:
    mistake = DockerfileError("unknown instruction", Span(13, 16), "did you mean RUN?")
    mistake.source = Source("Dockerfile", "FROM scratch\nRNU x\n")
    with pytest.raises(errors.DockerfileError, match=r"^unknown instruction$") as caught, public_operation():
        raise mistake
    assert (caught.value.location, caught.value.span) == ("Dockerfile:2:1", Span(13, 16))


def test_a_failed_step_has_the_line_of_its_instruction() -> None:
    failed = errors.StepFailed("exit code: 1", step="RUN x", lines=(2, 3))
    assert failed.location == ""
    failed.source = Source("Dockerfile", "FROM scratch\nRUN x \\\n y\n")
    assert failed.location == "Dockerfile:2"


def test_a_mistake_of_the_program_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), public_operation():
        raise ZeroDivisionError


def test_a_cancelled_operation_ends_where_long_work_asks() -> None:
    cancel = Cancel()

    def work() -> None:
        check()
        cancel.cancel()
        check()
        pytest.fail("it went on")

    with pytest.raises(errors.Cancelled), public_operation(cancel):
        work()
    with pytest.raises(errors.Cancelled), public_operation(cancel):
        pytest.fail("it was cancelled before it began")


def test_what_fails_because_it_was_cancelled_is_cancelled() -> None:
    cancel = Cancel()
    failed = RegistryError("given up")

    def work() -> None:
        cancel.cancel()
        raise failed

    with pytest.raises(errors.Cancelled) as caught, public_operation(cancel):
        work()
    assert caught.value.__cause__ is failed
