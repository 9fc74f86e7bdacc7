"""A layer that takes over parts of an earlier one has the bytes of a layer that was made from its files alone."""

import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.builder.content import selection_digest, stretch_digests
from pybuild.builder.execute import copy, earlier_layer
from pybuild.builder.oci.streams import compression
from pybuild.builder.request import Compression
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.store import open_store
from tests.helpers.fake_execute import Site

DIRECTORIES = ("", "a/", "b/", "a/c/")
NAMES = tuple("fghijk")
PATHS = st.builds(str.__add__, st.sampled_from(DIRECTORIES), st.sampled_from(NAMES))
# More than the pieces in which archives are read, and larger than what is read at once.
SIZES = st.sampled_from([0, 1, 511, 512, 700, 70_000, 1_100_000])
CHANGES = st.one_of(
    st.tuples(st.just("write"), PATHS, SIZES),
    st.tuples(st.just("touch"), PATHS, st.integers(0, 4)),
    st.tuples(st.just("chmod"), PATHS, st.sampled_from([0o600, 0o4755])),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("symlink"), PATHS, st.sampled_from(["f", "a"])),
    st.tuples(st.just("remove"), PATHS, st.none()),
    st.tuples(st.just("remove all"), st.sampled_from(["a", "b", "a/c"]), st.none()),
)
INSTRUCTIONS = st.sampled_from(["COPY . /new/", "COPY . /", "COPY --chown=5:6 --chmod=755 . /new", "COPY --link . /x"])


def apply(context: Path, change: tuple) -> None:
    """Make one change to the context; one that cannot be made is left."""
    kind, path, argument = change
    target = context / path
    target.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "write":
            target.unlink(missing_ok=True)
            target.write_bytes(os.urandom(argument))
        case "touch" if target.is_file():
            os.utime(target, ns=(0, argument * 700_000_000))
        case "chmod" if target.is_file():
            target.chmod(argument)
        case "rename" if os.path.lexists(target):
            target.rename(context / argument) if (context / argument).parent.is_dir() else None
        case "link" if target.is_file() and (context / argument).parent.is_dir():
            (context / argument).unlink(missing_ok=True) if path != argument else None
            os.link(target, context / argument) if path != argument else None
        case "symlink":
            target.unlink(missing_ok=True)
            target.symlink_to(argument)
        case "remove":
            target.unlink(missing_ok=True)
        case "remove all":
            shutil.rmtree(target, ignore_errors=True)


def solved(site: Site, epoch: int | None, algorithm: str, threads: int) -> BuiltLayer:
    """Return the layer of the build, which compresses in so many threads."""
    with (
        patch.object(compression, "_MAX_THREADS", threads),
        patch.object(os, "sched_getaffinity", lambda _pid: set(range(threads))),
    ):
        return site.solve(source_date_epoch=epoch, compression=Compression(algorithm=algorithm))[-1]


@settings(max_examples=20)
@given(
    first=st.dictionaries(PATHS, SIZES, min_size=6),
    rounds=st.lists(st.lists(CHANGES, max_size=3), min_size=1, max_size=4),
    instruction=INSTRUCTIONS,
    epoch=st.sampled_from([None, 1]),
    algorithm=st.sampled_from(["gzip", "uncompressed", "zstd"]),
)
def test_a_layer_has_the_bytes_of_one_that_is_made_anew_on_1_and_16_threads(
    first, rounds, instruction, epoch, algorithm
):
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch, "context")
        context.mkdir()
        (context / "Dockerfile").write_text(f"FROM scratch\n{instruction}\n")
        for path, size in first.items():
            apply(context, ("write", path, size))
            apply(context, ("touch", path, 3))
        with (
            open_store(Path(scratch, "kept")) as kept,
            patch.object(copy, "_MANY", 1),
            patch.object(selection_digest, "_LENGTH", 3),
            patch.object(stretch_digests, "TICK_NS", 0),
            patch.multiple(earlier_layer, TICK_NS=0, _LARGEST_MEAN=1 << 30),
        ):
            for number, changes in enumerate([(), *rounds]):
                # Times alone make no new layer.
                (context / "round").write_text(str(number))
                for change in changes:
                    apply(context, change)
                with open_store(Path(scratch, f"new-{number}")) as new:
                    found, expected = (
                        solved(Site(store=store, context=context), epoch, algorithm, threads)
                        for store, threads in ((kept, 16 - 15 * (number % 2)), (new, 1 + 15 * (number % 2)))
                    )
                    assert (found.digest, found.diff_id) == (expected.digest, expected.diff_id)
                    assert kept.times.of(str(found.diff_id)) == new.times.of(str(expected.diff_id))
