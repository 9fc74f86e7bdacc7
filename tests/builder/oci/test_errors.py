"""Errors of the OCI library: one root, a hint for each, and the facts that callers decide by."""

import inspect

import pytest

from pybuild.builder.oci import errors
from pybuild.builder.oci.errors import (
    DigestMismatch,
    ImageNotFound,
    OciError,
    OtherPlatform,
    RegistryDenied,
    RegistryError,
    RegistryUnavailable,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_message_and_a_hint(kind: type[OciError]) -> None:
    error = kind("what happened", hint="what to do")
    assert isinstance(error, OciError)
    assert (str(error), error.hint, kind("bare").hint) == ("what happened", "what to do", "")


def test_content_that_is_not_what_was_promised_is_a_failure_of_its_own_kind() -> None:
    assert not issubclass(DigestMismatch, ImageNotFound)


def test_an_image_for_another_platform_says_for_which() -> None:
    error = OtherPlatform("none", present=("linux/arm64",))
    assert error.present == ("linux/arm64",)
    # Whoever handles a missing image handles this one, too.
    assert isinstance(error, ImageNotFound)


def test_the_answer_of_a_registry_is_kept() -> None:
    error = RegistryError("no", status=404, code="NAME_UNKNOWN")
    assert (error.status, error.code) == (404, "NAME_UNKNOWN")
    assert (RegistryDenied("no").status, RegistryDenied("no").code) == (0, "")


def test_what_a_retry_needs_to_know_is_kept() -> None:
    error = RegistryUnavailable("later", status=429, retry_after=1.5, hung=True)
    assert (error.status, error.retry_after, error.absent, error.hung) == (429, 1.5, False, True)
