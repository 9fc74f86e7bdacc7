"""Stores that share nothing but a cache."""

import os
import shutil
from pathlib import Path

import pytest

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import docker_registry
from tests.helpers.hosts import need_programs, need_small_base
from tests.helpers.program import Program

TEXT = """
    FROM small AS made
    COPY one.txt /src/
    RUN cp /src/one.txt /out.txt
    FROM small
    COPY --from=made /out.txt /made.txt
    COPY two.txt /
    WORKDIR /work
    RUN cat /made.txt /two.txt > both.txt
"""


def write_stages(directory: Path) -> Path:
    return write_context(directory, {"Dockerfile": TEXT, "one.txt": "1\n", "two.txt": "2\n"})


def other_store(directory: Path) -> Program:
    program = Program(store=directory / "other")
    program.import_tar(need_small_base(), "small")
    return program


def test_a_store_with_a_cache_in_a_directory_executes_nothing(program: Program, tmp_path: Path) -> None:
    context, cache = write_stages(tmp_path / "context"), tmp_path / "cache"
    first = program.build(context, f"--cache-to=type=local,dest={cache}")
    assert f"exporting cache to {cache}" in first.printed
    other = other_store(tmp_path)
    again = other.build(context, f"--cache-from=type=local,src={cache}")
    assert (again.executed, len(again.cached)) == ([], 6)
    assert other.run("run", "--rm", "built", "cat", "/work/both.txt").stdout == "1\n2\n"
    assert validate_store(other.store) == []
    assert other.build(context).executed == [], "what was brought is remembered"


def test_a_cache_of_mode_max_has_the_stages_that_the_image_does_not_contain(program: Program, tmp_path: Path) -> None:
    context = write_stages(tmp_path / "context")
    program.build(
        context,
        f"--cache-to=type=local,dest={tmp_path / 'min'}",
        f"--cache-to=type=local,dest={tmp_path / 'max'},mode=max",
    )
    other = other_store(tmp_path)
    (context / "two.txt").write_text("changed\n")
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("cp /src", "cp -p /src"))
    ran = [
        step.rpartition("] ")[2]
        for step in other.build(context, f"--cache-from=type=local,src={tmp_path / 'max'}").executed
    ]
    assert "COPY one.txt /src/" not in ran
    third = Program(store=tmp_path / "third")
    third.import_tar(need_small_base(), "small")
    ran = [
        step.rpartition("] ")[2]
        for step in third.build(context, f"--cache-from=type=local,src={tmp_path / 'min'}").executed
    ]
    assert "COPY one.txt /src/" in ran


def test_a_damaged_cache_is_a_warning_and_the_steps_run(program: Program, tmp_path: Path) -> None:
    context, cache = write_stages(tmp_path / "context"), tmp_path / "cache"
    program.build(context, f"--cache-to=type=local,dest={cache},mode=max")
    for blob in (cache / "blobs" / "sha256").iterdir():
        if not blob.read_bytes().startswith(b"{"):
            content = bytearray(blob.read_bytes())
            content[len(content) // 2] ^= 1
            blob.write_bytes(content)
    other = other_store(tmp_path)
    again = other.build(context, f"--cache-from=type=local,src={cache}")
    assert f"failed to import cache {cache}" in again.printed
    assert len(again.executed) == 6
    assert other.run("run", "--rm", "built", "cat", "/work/both.txt").stdout == "1\n2\n"
    assert validate_store(other.store) == []


def test_a_cache_that_is_not_there_is_a_warning(program: Program, tmp_path: Path) -> None:
    context = write_stages(tmp_path / "context")
    result = program.build(context, f"--cache-from=type=local,src={tmp_path / 'nowhere'}")
    assert f"failed to import cache {tmp_path / 'nowhere'}" in result.printed
    assert len(result.executed) == 6


@pytest.mark.parametrize(("to", "code"), [("type=local,dest={}/file", 1), ("type=registry,ref=127.0.0.1:1/cache", 5)])
def test_a_cache_that_cannot_be_written_is_an_error_unless_it_may_be_ignored(
    program: Program, tmp_path: Path, to: str, code: int
) -> None:
    context = write_stages(tmp_path / "context")
    (tmp_path / "file").write_text("")
    failed = program.build(context, f"--cache-to={to.format(tmp_path)}", check=False)
    assert failed.exit_code == code
    assert "failed to export cache" in failed.printed
    ignored = program.build(context, f"--cache-to={to.format(tmp_path)},ignore-error=true")
    assert "failed to export cache" in ignored.printed


def test_a_cache_that_is_written_again_still_has_what_this_build_did_not_need(program: Program, tmp_path: Path) -> None:
    context, cache = write_stages(tmp_path / "context"), tmp_path / "cache"
    program.build(context, f"--cache-to=type=local,dest={cache},mode=max")
    blobs = sorted(os.listdir(cache / "blobs" / "sha256"))
    copy = shutil.copytree(cache, tmp_path / "copy")
    other = other_store(tmp_path)
    other.build(
        context, f"--cache-from=type=local,src={copy}", f"--cache-to=type=local,dest={tmp_path / 'new'},mode=max"
    )
    assert sorted(os.listdir(tmp_path / "new" / "blobs" / "sha256")) == blobs


def test_a_store_with_a_cache_in_a_registry_executes_nothing(program: Program, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    context = write_stages(tmp_path / "context")
    with docker_registry(tmp_path / "registry") as registry:
        names = [f"{registry.name}/team/{name}" for name in ("cache", "cache-2:min")]
        program.build(
            context,
            f"--cache-to=type=registry,ref={names[0]},mode=max,image-manifest=true,oci-mediatypes=true",
            f"--cache-to=type=registry,ref={names[1]}",
        )
        other = other_store(tmp_path)
        again = other.build(context, "--cache-from", f"{registry.name}/not/there", "--cache-from", names[1])
        assert (again.executed, len(again.cached)) == ([], 6)
        assert f"failed to import cache {registry.name}/not/there" in again.printed
        (context / "two.txt").write_text("changed\n")
        changed = other.build(context, f"--cache-from=type=registry,ref={names[0]}")
        assert changed.executed[0].endswith("COPY two.txt /")
    assert validate_store(other.store) == []


def test_an_image_is_the_cache_of_the_next_build_elsewhere(program: Program, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    context = write_stages(tmp_path / "context")
    with docker_registry(tmp_path / "registry") as registry:
        name = f"{registry.name}/team/app"
        program.build(context, "--cache-to=type=inline", "--push", tag=name)
        other = other_store(tmp_path)
        again = other.build(context, "--cache-from", name, "--push", tag=f"{name}:plain")
        assert (again.executed, len(again.cached)) == ([], 6)
        none = program.build(context, "--no-cache", "--cache-from", f"{name}:plain")
        assert f"failed to import cache {name}:plain: it has no cache of pybuild" in none.printed
    assert validate_store(other.store) == []


def test_an_image_does_not_hand_its_cache_on(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN echo 1 > /1\n"})
    program.build(context, "--build-arg=BUILDKIT_INLINE_CACHE=1", tag="with")
    (context / "Dockerfile").write_text("FROM with\nRUN echo 2 > /2\n")
    program.build(context, tag="without")
    configs = [
        path.read_bytes() for path in (program.store / "blobs" / "sha256").iterdir() if path.stat().st_size < 100_000
    ]
    assert sum(b"pybuild.cache.v1" in raw for raw in configs) == 1


MOUNTING = """
    FROM small
    RUN --mount=type=cache,id=packages,target=/c,mode=0750,uid=1000,gid=50 mkdir /c/d && echo mine > /c/d/f && chmod 4755 /c/d/f && ln -s d/f /c/l
    RUN --mount=type=cache,target=/other echo other > /other/f
    RUN --mount=type=cache,id=packages,target=/c,mode=0750,uid=1000,gid=50 ls -R /c > /list
"""


def test_cache_mounts_come_with_the_cache(program: Program, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    context = write_context(tmp_path / "context", {"Dockerfile": MOUNTING})
    with docker_registry(tmp_path / "registry") as registry:
        name = f"{registry.name}/team/cache"
        program.build(context, f"--cache-to=type=registry,ref={name},mounts=packages;unknown")
        other = other_store(tmp_path)
        assert other.build(context, "--cache-from", name).executed == []
        last = "RUN --mount=type=cache,id=packages,target=/c,mode=0750,uid=1000,gid=50 stat -c '%a %u %g %n' /c /c/d/f /c/l > /list; cat /c/l >> /list"
        text = (context / "Dockerfile").read_text()
        (context / "Dockerfile").write_text(
            f"{text[: text.rindex('RUN')]}{last}\nRUN --mount=type=cache,target=/other ls /other > /others\n"
        )
        changed = other.build(context, "--cache-from", name)
        assert len(changed.executed) == 2
        found = other.run("run", "--rm", "built", "cat", "/list").stdout.splitlines()
        assert found == ["750 1000 50 /c", "4755 0 0 /c/d/f", "777 0 0 /c/l", "mine"]
        assert other.run("run", "--rm", "built", "cat", "/others").stdout == "", "only named ids are exported"
    assert validate_store(other.store) == []


def test_cache_mounts_that_a_build_did_not_need_are_exported_again(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": MOUNTING})
    program.build(context, f"--cache-to=type=local,dest={tmp_path / 'one'},mounts=true")
    other = other_store(tmp_path)
    again = other.build(
        context,
        f"--cache-from=type=local,src={tmp_path / 'one'}",
        f"--cache-to=type=local,dest={tmp_path / 'two'},mounts=true",
    )
    assert again.executed == []
    assert sorted(os.listdir(tmp_path / "one/blobs/sha256")) == sorted(os.listdir(tmp_path / "two/blobs/sha256"))
