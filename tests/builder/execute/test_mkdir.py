import pytest

from pybuild.builder.errors import StepFailed
from tests.builder.content.test_trees import directory, member
from tests.builder.execute.test_copy import archive_of, base_of, owner


def made(site, instructions, base="base"):
    with archive_of(site, site.solve(f"FROM {base}\n{instructions}\n")) as layer:
        return {entry.name: entry for entry in layer}


def test_a_directory_is_made_with_its_parents_for_root(site):
    entries = made(site, "WORKDIR /a/b", base="scratch")
    assert {(path, entry.mode, owner(entry)) for path, entry in entries.items()} == {
        ("a", 0o755, (0, 0)),
        ("a/b", 0o755, (0, 0)),
    }


def test_new_directories_belong_to_the_user_and_existing_ones_stay_as_they_are(site):
    base_of(site, directory("home", mode=0o711, uid=9))
    entries = made(site, "USER 5:6\nWORKDIR /home/a/b")
    assert {path: owner(entry) for path, entry in entries.items()} == {
        "home": (9, 0),
        "home/a": (5, 6),
        "home/a/b": (5, 6),
    }


def test_a_directory_that_exists_makes_an_empty_layer(site):
    base_of(site, directory("d", mode=0o700))
    assert made(site, "USER 5\nWORKDIR /d") == {}


def test_a_link_on_the_way_is_followed_inside_the_image(site):
    base_of(site, directory("real"), member("link", b"2", linkname="/../real"))
    assert list(made(site, "WORKDIR /link/x")) == ["real", "real/x"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/file", "mkdir /file: not a directory"),
        ("/file/x", "mkdir /file/x: /file is not a directory"),
        ("/file/x/y", "mkdir /file/x/y: /file is not a directory"),
    ],
)
def test_what_is_no_directory_cannot_become_one(site, path, message):
    base_of(site, member("file"))
    with pytest.raises(StepFailed) as caught:
        made(site, f"WORKDIR {path}")
    assert message in str(caught.value)
    assert caught.value.lines == (2, 2)


def test_no_base_is_unpacked_for_it(site):
    base_of(site, directory("d"))
    made(site, "WORKDIR /d/x")
    assert site.store.snapshots.names() == ()
