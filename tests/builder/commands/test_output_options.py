"""Which options -o takes."""

import pytest

from builder.commands.build_flags import output
from builder.errors import RequestError


@pytest.mark.parametrize(
    "options",
    [
        "compression=zstd,compression-level=3",
        "oci-mediatypes=true",
        "store=1",
        "unpack=true",
        "push=false",
        "push-by-digest=true",
    ],
)
def test_what_is_done_anyway_may_be_asked_for(options: str) -> None:
    assert output(f"type=oci,dest=x,{options}").type == "oci"


@pytest.mark.parametrize(
    ("options", "reason", "hint"),
    [
        ("compresion=zstd", "unknown --output option 'compresion'", "compression"),
        ("nothing-like-it=1", "unknown --output option", ""),
        ("oci-mediatypes=false", "oci-mediatypes=false is not supported", ""),
        ("rewrite-timestamp=true", "rewrite-timestamp=true is not supported", ""),
        ("annotation.a=b", "annotation.a is not supported", "--annotation"),
        ("mode=delete", "mode=delete is not supported", ""),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(options: str, reason: str, hint: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        output(f"type=oci,dest=x,{options}")
    assert hint in (caught.value.hint or "")
