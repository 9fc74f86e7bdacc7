"""The form in which ``push`` uploads an image."""

import pytest

from pybuild.builder.cli.flags.push_form import FormFlags, PushForm
from pybuild.builder.errors import RequestError


@pytest.mark.parametrize(
    ("flags", "form"),
    [
        (FormFlags(), PushForm()),
        (FormFlags(kind="oci"), PushForm(docker=False)),
        (FormFlags(kind="v2s2"), PushForm(docker=True)),
        (FormFlags(kind="docker", algorithm="gzip"), PushForm(docker=True, algorithm="gzip")),
        (FormFlags(algorithm="zstd", level="3"), PushForm(algorithm="zstd", level=3)),
        (FormFlags(kind="oci", algorithm="zstd"), PushForm(docker=False, algorithm="zstd")),
        (FormFlags(force_compression=True), PushForm()),
    ],
)
def test_flags_become_a_form(flags: FormFlags, form: PushForm) -> None:
    assert flags.form() == form


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (FormFlags(level="3"), "--compression-level needs --compression-format"),
        (FormFlags(kind="docker", algorithm="zstd"), "zstd needs OCI media types"),
        (FormFlags(algorithm="brotli"), "brotli"),
        (FormFlags(algorithm="gzip", level="eleven"), "eleven"),
    ],
)
def test_contradictions_and_unknown_words_are_errors(flags: FormFlags, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        flags.form()
