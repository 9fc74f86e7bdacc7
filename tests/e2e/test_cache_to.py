"""What ``--cache-to`` writes beside the steps of one image: several platforms and targets, links, mounts of stages."""

import json
import os
from pathlib import Path

import pytest

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import docker_registry
from tests.helpers.hosts import need_programs, need_small_base
from tests.helpers.program import Program

BOTH = "--platform=linux/amd64,linux/arm64"
PLATFORMS = """
    FROM --platform=$BUILDPLATFORM small AS tools
    ARG TARGETARCH
    RUN echo $TARGETARCH > /made
    FROM scratch
    COPY --from=tools /made /made
    COPY note /note
"""


def store(directory: Path) -> Program:
    program = Program(store=directory)
    program.import_tar(need_small_base(), "small")
    return program


def names(executed: list[str]) -> set[str]:
    return {step.rpartition("] ")[2] for step in executed}


def test_a_cache_has_the_steps_of_all_platforms(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": PLATFORMS, "note": "1"})
    first = program.build(context, BOTH, f"--cache-to=type=local,dest={tmp_path / 'cache'},mode=max")
    assert len(first.executed) == 6
    other = store(tmp_path / "other")
    again = other.build(context, BOTH, f"--cache-from=type=local,src={tmp_path / 'cache'}")
    assert again.executed == []
    assert validate_store(other.store) == []
    one = store(tmp_path / "one")
    alone = one.build(context, "--platform=linux/arm64", f"--cache-from=type=local,src={tmp_path / 'cache'}")
    assert alone.executed == []


def test_an_index_is_the_cache_of_the_next_build_elsewhere(program: Program, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    context = write_context(tmp_path / "context", {"Dockerfile": PLATFORMS, "note": "1"})
    with docker_registry(tmp_path / "registry") as registry:
        name = f"{registry.name}/team/app"
        program.build(context, BOTH, "--cache-to=type=inline", "--push", tag=name)
        other = store(tmp_path / "other")
        again = other.build(context, BOTH, "--cache-from", name)
    assert names(again.executed) <= {"RUN echo amd64 > /made", "RUN echo arm64 > /made"}


def test_a_cache_has_the_steps_of_all_targets(program: Program, tmp_path: Path) -> None:
    text = "FROM small AS a\nRUN echo a > /a\nFROM small AS b\nRUN echo b > /b\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    targets = ("--target=a=first", "--target=b=second")
    program.run(
        "build", "--network=host", *targets, f"--cache-to=type=local,dest={tmp_path / 'cache'}", os.fspath(context)
    )
    other = store(tmp_path / "other")
    for target in ("a", "b"):
        again = other.build(context, f"--target={target}", f"--cache-from=type=local,src={tmp_path / 'cache'}")
        assert (again.executed, len(again.cached)) == ([], 1)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_linked_copy_comes_from_the_cache_on_another_base(program: Program, tmp_path: Path, mode: str) -> None:
    text = "FROM small AS made\nRUN echo made > /made\nFROM small\nENV A=1\nRUN echo {} > /base\nCOPY --link --from=made /made /here\nCOPY --link note /\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text.format(1), "note": "1"})
    program.build(context)
    # The second time the results come from the store, where only the keys on this base are looked up.
    program.build(context, f"--cache-to=type=local,dest={tmp_path / 'cache'},mode={mode}")
    (context / "Dockerfile").write_text(text.format(2))
    other = store(tmp_path / "other")
    again = other.build(context, f"--cache-from=type=local,src={tmp_path / 'cache'}")
    assert names(again.executed) == {"RUN echo 2 > /base"}
    assert other.run("run", "built", "cat", "/base", "/here", "/note").stdout == "2\nmade\n1"


MOUNTS = """
    FROM small AS seed
    RUN mkdir /seed && echo seed > /seed/f
    FROM small
    RUN --mount=type=cache,target=/c,from=seed,source=/seed echo {} >> /c/f && cat /c/f > /seen
    RUN --mount=type=cache,target=/i,from=small,source=/etc echo {} >> /i/motd && cat /i/motd > /motd
"""


def test_a_cache_mount_that_began_with_files_comes_with_the_cache(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": MOUNTS.format("first", "first")})
    program.build(context, f"--cache-to=type=local,dest={tmp_path / 'cache'},mode=max,mounts=true")
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("echo first", "echo second"))
    other = store(tmp_path / "other")
    other.build(context, f"--cache-from=type=local,src={tmp_path / 'cache'}")
    assert other.run("run", "built", "cat", "/seen").stdout == "seed\nfirst\nsecond\n"
    assert other.run("run", "built", "cat", "/motd").stdout == "welcome\nfirst\nsecond\n"


def test_source_date_epoch_is_no_age_for_cache_ttl_here_or_elsewhere(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN echo 1 > /1\n"})
    epoch = "--build-arg=SOURCE_DATE_EPOCH=981173106"
    program.build(context, epoch, f"--cache-to=type=local,dest={tmp_path / 'cache'}")
    assert program.build(context, epoch, "--cache-ttl=1h").executed == []
    other = store(tmp_path / "other")
    again = other.build(context, epoch, "--cache-ttl=1h", f"--cache-from=type=local,src={tmp_path / 'cache'}")
    assert again.executed == []
    assert len(other.build(context, epoch, "--cache-ttl=0s").executed) == 1


def test_an_inline_cache_leaves_the_image_reproducible(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM scratch\nCOPY note /\n", "note": "1"})
    flags = ("--build-arg=SOURCE_DATE_EPOCH=981173106", "--cache-to=type=inline")
    ids = []
    for fresh in (program, store(tmp_path / "other")):
        fresh.build(context, *flags)
        ids.append(fresh.run("inspect", "--format={{.Id}}", "built").stdout)
    assert ids[0] == ids[1]


def types_of(cache: Path) -> set[str]:
    (entry,) = json.loads((cache / "index.json").read_text())["manifests"]
    manifest = json.loads((cache / "blobs/sha256" / entry["digest"][7:]).read_text())
    return {layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]}


def test_a_cache_is_compressed_as_it_is_told(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,target=/c echo c > /c/c && echo 1 > /1\nCOPY note /\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text, "note": "1"})
    for algorithm, media_type in (("zstd", "tar+zstd"), ("uncompressed", "tar"), ("gzip", "tar+gzip")):
        cache = tmp_path / algorithm
        program.build(context, f"--cache-to=type=local,dest={cache},compression={algorithm},mounts=true")
        assert types_of(cache) == {media_type}
        other = store(tmp_path / f"other-{algorithm}")
        again = other.build(context, f"--cache-from=type=local,src={cache}")
        assert again.executed == []
        assert other.run("run", "built", "cat", "/1", "/note").stdout == "1\n1"


def test_layers_are_compressed_anew_only_when_they_are_forced_to_be(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY note /\n", "note": "1\n" * 50_000})
    blobs = []
    for number, extra in enumerate(
        ("", ",compression=gzip,compression-level=9", ",compression=gzip,compression-level=9,force-compression=true")
    ):
        cache = tmp_path / str(number)
        program.build(context, f"--cache-to=type=local,dest={cache}{extra}")
        blobs.append({path.name for path in (cache / "blobs/sha256").iterdir()})
    assert blobs[0] == blobs[1] != blobs[2]


def test_reset_removes_what_no_tag_of_the_directory_names(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY note /\n", "note": "1"})
    cache = tmp_path / "cache"

    def blobs() -> int:
        return len(list((cache / "blobs/sha256").iterdir()))

    program.build(context, f"--cache-to=type=local,dest={cache},tag=kept")
    for number in range(2, 5):
        (context / "note").write_text(str(number))
        program.build(context, f"--cache-to=type=local,dest={cache}")
    assert blobs() == 12
    program.build(context, f"--cache-to=type=local,dest={cache},reset=true")
    assert blobs() == 6
    other = store(tmp_path / "other")
    assert other.build(context, f"--cache-from=type=local,src={cache}").executed == []
    (context / "note").write_text("1")
    assert other.build(context, f"--cache-from=type=local,src={cache},tag=kept").executed == []
