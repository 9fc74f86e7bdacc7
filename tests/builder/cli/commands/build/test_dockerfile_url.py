from pathlib import Path

import pytest

from pybuild.builder.cli.commands.build.dockerfile_url import fetch_dockerfile
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Request


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://a.invalid/x.git", "invalid --file: https://a.invalid/x.git is a git repository"),
        ("https://me:secret@a.invalid/Dockerfile", "invalid --file: an address must not contain a user name"),
    ],
)
def test_an_address_that_is_none_of_a_file_is_refused_before_anything_is_asked(
    tmp_path: Path, address: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        fetch_dockerfile(address, Request.of(context=tmp_path), tmp_path)
    assert list(tmp_path.iterdir()) == []
