"""Which options -o takes."""

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.options import read


@pytest.mark.parametrize(
    "options",
    [
        "compression=zstd,compression-level=3",
        "oci-mediatypes=false",
        "compatibility-version=30",
        "annotation.a=b",
        "rewrite-timestamp=true",
        "store=1",
        "unpack=true",
        "push=false",
        "push-by-digest=true",
    ],
)
def test_what_is_done_anyway_may_be_asked_for(options: str) -> None:
    assert read(f"type=oci,dest=x,{options}").type == "oci"


@pytest.mark.parametrize(
    ("options", "reason", "hint"),
    [
        ("compresion=zstd", "unknown --output option 'compresion'", "compression"),
        ("nothing-like-it=1", "unknown --output option", ""),
        ("prefer-nondist-layers=true", "prefer-nondist-layers=true is not supported", ""),
        ("compatibility-version=20", "compatibility-version=20 is not supported", "oci-mediatypes=false"),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(options: str, reason: str, hint: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        read(f"type=oci,dest=x,{options}")
    assert hint in (caught.value.hint or "")
