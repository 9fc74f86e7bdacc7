from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.transports.places import InArchive, InDirectory, InRegistry, InStore, Place, parse_place
from pybuild.grammar.reference import parse_reference

PLACES: dict[str, Place] = {
    "docker://debian": InRegistry(reference=parse_reference("docker.io/library/debian:latest")),
    "docker://localhost:5000/a/b:1": InRegistry(reference=parse_reference("localhost:5000/a/b:1")),
    "oci:some/folder": InDirectory(path=Path("some/folder")),
    "oci:/folder:1.0": InDirectory(path=Path("/folder"), name="1.0"),
    "oci:/folder:docker.io/library/a:1": InDirectory(path=Path("/folder"), name="docker.io/library/a:1"),
    "oci-archive:x.tar:it": InArchive(path=Path("x.tar"), name="it", docker=False),
    "docker-archive:x.tar": InArchive(path=Path("x.tar"), docker=True),
    "docker-archive:x.tar:a:1": InArchive(path=Path("x.tar"), name="docker.io/library/a:1", docker=True),
    "docker-archive:x.tar:a": InArchive(path=Path("x.tar"), name="docker.io/library/a:latest", docker=True),
    "debian:12": InStore(name="debian:12"),
    "localhost:5000/oci:1": InStore(name="localhost:5000/oci:1"),
}


@pytest.mark.parametrize("text", PLACES)
def test_a_place_is_spelled_as_for_skopeo(text: str) -> None:
    assert parse_place(text) == PLACES[text]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("oci:", "path is missing"),
        ("oci-archive::x", "path is missing"),
        ("docker://A b", "invalid reference"),
        ("docker-archive:x.tar:A b", "invalid reference"),
        ("dir:x", "unknown transport"),
        ("docker-daemon:x:1", "unknown transport"),
        ("https://host/x", "unknown transport"),
    ],
)
def test_what_is_no_place_is_told(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse_place(text)
