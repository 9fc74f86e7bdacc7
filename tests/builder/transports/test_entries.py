from dataclasses import replace

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor, Index, Platform
from pybuild.builder.transports.entries import EntryChange, changed_entry, with_entries
from tests.helpers.images import AMD64, ARM64

UNKNOWN = Platform(os="unknown", architecture="unknown")


def entry(content: bytes, platform: Platform | None) -> Descriptor:
    return Descriptor(media_type=media.OCI_MANIFEST, digest=Digest.of(content), size=len(content), platform=platform)


def test_a_new_image_takes_the_place_of_that_for_its_platform() -> None:
    old, arm, new, plain = entry(b"a", AMD64), entry(b"b", ARM64), entry(b"c", AMD64), entry(b"d", None)
    assert with_entries(Index(manifests=(old, arm, plain)), [new, new]).manifests == (arm, plain, new)


def test_what_was_said_of_an_image_goes_with_it() -> None:
    old = entry(b"a", replace(ARM64, variant="v8"))
    said = replace(entry(b"b", UNKNOWN), annotations={"vnd.docker.reference.digest": str(old.digest)})
    other = replace(entry(b"c", UNKNOWN), annotations={"vnd.docker.reference.digest": str(Digest.of(b"d"))})
    new = entry(b"e", ARM64)
    assert with_entries(Index(manifests=(old, said, other)), [new]).manifests == (other, new)


def test_two_new_images_for_one_platform_are_refused_but_attestations_are_no_images() -> None:
    with pytest.raises(RequestError, match="two of the images are for linux/amd64"):
        with_entries(Index(manifests=()), [entry(b"a", AMD64), entry(b"b", AMD64)])
    notes = (entry(b"a", UNKNOWN), entry(b"b", UNKNOWN))
    assert with_entries(Index(manifests=notes), [entry(b"c", UNKNOWN)]).manifests == (*notes, entry(b"c", UNKNOWN))


def test_a_change_leaves_what_it_does_not_name() -> None:
    index = Index(manifests=(entry(b"a", AMD64), entry(b"b", ARM64)))
    change = EntryChange(variant="v3", os_features=("x",), annotations={"k": "v"})
    changed = changed_entry(index, Digest.of(b"a"), change).manifests
    assert changed[0].platform == Platform(os="linux", architecture="amd64", variant="v3", os_features=("x",))
    assert changed[0].annotations == {"k": "v"}
    assert changed[1] == index.manifests[1]
    with pytest.raises(RequestError, match="not in the index") as caught:
        changed_entry(index, Digest.of(b"c"), change)
    assert caught.value.hint == "it has linux/amd64, linux/arm64"
