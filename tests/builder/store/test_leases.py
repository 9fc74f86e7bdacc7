"""Claims: what somebody relies on is not removed, and nobody waits for anybody longer than a rename takes."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import BlobNotFound
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.prune import gc
from pybuild.builder.store import leases
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.leases import Lease, is_used, removing, using
from pybuild.builder.store.locks import LASTING, Locks
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image

USER = """
import sys
from pathlib import Path
from pybuild.builder.store.store import open_store
from pybuild.builder.oci.image import read_image
opened = open_store(Path(sys.argv[1]))
with opened.in_use():
    read_image(opened.blobs, opened.layout.resolve("image"))
    print("reading", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def image(store: Store) -> Image:
    made = tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"})
    store.layout.tag("image", made.descriptor)
    return made


@pytest.fixture
def user(store: Store, image: Image) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has read the image's documents and is about to open its layers."""
    command = [sys.executable, "-c", USER, os.fspath(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process
        process.kill()


def locks_of(store: Store) -> Path:
    return store.root / "locks"


def remove(store: Store, image: Image) -> None:
    with store.collecting():
        store.layout.untag("image")
        gc.drop_image(store, image.descriptor)


def test_what_another_process_uses_stays_until_that_has_ended(
    store: Store, image: Image, user: "subprocess.Popen[str]"
) -> None:
    needed = {image.descriptor.digest, image.id, *(layer.digest for layer in image.manifest.layers)}
    remove(store, image)
    assert set(store.blobs.digests()) == needed
    user.send_signal(signal.SIGKILL)
    user.wait()
    with store.collecting():
        gc.collect(store)
    assert set(store.blobs.digests()) == set()
    assert [path.name for path in locks_of(store).glob("lease-*")] == []


def test_what_nobody_uses_goes_beside_a_user(store: Store, image: Image, user: "subprocess.Popen[str]") -> None:
    other = tiny_image(store.blobs, {"c": b"3"})
    with store.collecting():
        gc.collect(store)
    assert other.descriptor.digest not in set(store.blobs.digests())
    assert image.descriptor.digest in set(store.blobs.digests())


def test_a_snapshot_that_is_used_stays_with_all_below_it(store: Store, image: Image) -> None:
    other = open_store(store.root)
    with store.in_use():
        store.snapshot(image)
        store.layout.untag("image")
        with other.collecting():
            gc.collect(other, everything=True)
        assert len(other.snapshots.names()) == 2
    with other.collecting():
        gc.collect(other, everything=True)
    assert other.snapshots.names() == ()
    other.close()


def test_a_snapshot_that_was_found_before_is_claimed_by_the_next_use(store: Store, image: Image) -> None:
    with store.in_use():
        store.snapshot(image)
        store.snapshot(image)
    with store.in_use():
        name = store.snapshot(image)
        with removing(locks_of(store)) as claimed:
            assert name in claimed


def test_a_blob_is_claimed_before_it_appears(store: Store) -> None:
    with store.in_use(), store.blobs.writer() as writer:
        writer.write(b"content")
        digest, _ = writer.commit()
        with removing(locks_of(store)) as claimed:
            assert str(digest) in claimed


def test_all_layers_of_an_image_are_claimed_with_its_documents(store: Store, image: Image) -> None:
    with store.in_use():
        read_image(store.blobs, image.descriptor)
        with removing(locks_of(store)) as claimed:
            assert claimed >= {str(layer.digest) for layer in image.manifest.layers}


def test_a_claim_waits_for_a_removal_and_a_look_after_it_sees_what_that_did(store: Store, image: Image) -> None:
    digest = image.manifest.layers[0].digest
    seen: list[bool] = []
    with store.in_use():
        with removing(locks_of(store)) as claimed:
            looking = threading.Thread(target=lambda: seen.append(store.blobs.exists(digest)))
            looking.start()
            looking.join(0.2)
            assert (seen, str(digest) in claimed) == ([], False)
            store.blobs.retire(digest)
        looking.join(20)
    assert seen == [False]
    with pytest.raises(BlobNotFound):
        store.blobs.open(digest)


def test_an_image_that_is_named_while_its_builder_ends_is_kept(store: Store, image: Image) -> None:
    store.layout.untag("image")
    with store.collecting():
        with store.in_use():
            store.blobs.exists(image.descriptor.digest)
            store.layout.tag("image", image.descriptor)
        gc.collect(store)
    assert store.blobs.exists(image.descriptor.digest)


def test_two_uses_of_one_machine_are_one_user(store: Store, image: Image) -> None:
    with store.in_use():
        with store.in_use():
            store.blobs.exists(image.descriptor.digest)
        assert is_used(locks_of(store))
        with removing(locks_of(store)) as claimed:
            assert str(image.descriptor.digest) in claimed
    assert not is_used(locks_of(store))


def test_who_cannot_write_a_claim_keeps_removals_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "")

    locks = Locks(tmp_path)
    with using(locks, tmp_path, lambda: None) as claim:
        monkeypatch.setattr(leases.os, "write", full)
        claim("sha256:1")
        monkeypatch.undo()
        assert not is_free(locks)
    assert is_free(locks)


def is_free(locks: Locks) -> bool:
    from pybuild.builder.errors import Cancelled

    try:
        with locks.exclusive(LASTING, lambda: True):
            return True
    except Cancelled:
        return False


def test_the_list_of_a_dead_user_counts_for_nothing(tmp_path: Path) -> None:
    lease = Lease(tmp_path, lambda: None)
    lease.claim("sha256:1")
    os.close(lease._file)
    with removing(tmp_path) as claimed:
        assert claimed == frozenset()
    assert list(tmp_path.glob("lease-*")) == []


def test_opening_a_store_sweeps_what_killed_users_left_and_keeps_downloads(store: Store) -> None:
    left = [store.root / "tmp" / "blob-0123456789abcdef", locks_of(store) / ("0" * 32)]
    left += [locks_of(store) / "lease-0123456789abcdef", store.root / "tmp" / "blob-gone-0123"]
    part = store.root / "tmp" / "blob-part-sha256-00"
    for path in (*left, part):
        path.write_bytes(b"x")
    with store.blobs.writer() as writer, store.locks.exclusive("a step"):
        writer.write(b"being written")
        open_store(store.root).close()
        writer.commit()
    assert [path.name for path in left if path.exists()] == []
    assert part.exists()


def test_layers_are_claimed_by_a_lookup(store: Store, image: Image) -> None:
    layers = image_layers(image)
    with store.in_use():
        assert all(store.blobs.has(layer.descriptor) for layer in layers)
        with removing(locks_of(store)) as claimed:
            assert claimed >= {str(layer.digest) for layer in layers}
