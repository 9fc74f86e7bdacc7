"""Builds in a default container, where steps run after a chroot alone."""

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers import bases, cases, configs, owners, trees
from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.lab import Lab
from tests.helpers.program import Program
from tests.helpers.restricted import Restricted

_PATIENCE = 60

# What is not the same after a chroot: pid 1, a network of its own, most of /proc, mounts that are read-only or have a size,
# and what is written to one of several hard links of an earlier step.
OTHERWISE = (
    "history-of-every-form",
    "run-hard-links-across-layers",
    "run-is-the-first-process",
    "run-leaves-nothing-of-its-own",
    "run-mount-type-from-a-variable",
    "run-mounts",
    "run-mounts-details",
    "run-network-none",
    "run-privileges",
    "run-sees-a-quiet-kernel",
    "run-user-opens-its-streams",
)


def _cases() -> list[str]:
    loaded = map(cases.load, cases.names())
    fit = [case.name for case in loaded if not case.fails and not case.bases and case.base != "bookworm"]
    return [*[name for name in fit if name not in OTHERWISE][4::29], "run-rewrites-lower-layers", "run-special-files"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Restricted:
    need_root()
    need_programs(["busybox"])
    made = in_default_container(Program(store=tmp_path_factory.mktemp("chroot") / "store"))
    made.import_tar(bases.small(), "small")
    return made


@pytest.mark.parametrize("name", _cases())
def test_the_image_is_that_of_root(lab: Lab, program: Restricted, tmp_path: Path, name: str) -> None:
    expected = lab.case(name)
    dockerfile = expected.case.copy_to(tmp_path / name)
    options = ("-f", os.fspath(dockerfile), *expected.case.options_in(tmp_path / name))
    program.build(tmp_path / name / "context", *options, tag=name)
    image = trees.read_archive(program.save(name, tmp_path / "saved.tar"))
    assert expected.image is not None
    assert list(trees.differences(image.tree, expected.image.tree, started=0)) == []
    assert configs.settings(image.config) == configs.settings(expected.image.config)


def test_owners_mounts_and_users_make_the_layers_of_root(lab: Lab, program: Restricted, tmp_path: Path) -> None:
    lab.case("run-deletes")  # brings the base "small"
    context = write_context(tmp_path / "c", {"Dockerfile": owners.DOCKERFILE, **owners.FILES})
    options = ("--no-cache", "--shm-size=1m", "--build-arg=SOURCE_DATE_EPOCH=1", f"--secret=id=s,src={context}/s")
    for each in (lab.program, program):
        built = each.build(context, *options)
        assert ("WARNING: the size of the tmpfs at /m is not kept" in built.printed) == (each is program)
        assert ("WARNING: the size of /dev/shm is not kept" in built.printed) == (each is program)
    assert owners.layers(program) == owners.layers(lab.program)


def test_a_secret_is_reached_by_symlinks_and_nothing_of_it_is_in_a_layer(
    lab: Lab, program: Restricted, tmp_path: Path
) -> None:
    lab.case("run-deletes")  # brings the base "small"
    text = """FROM small
RUN ln -s /real/key /key && ln -s dir /link && mkdir /dir && ln -s /run/secrets/s /alias
RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/key --mount=type=secret,id=s,target=/link/s \\
    cat /run/secrets/s /key /real/key /dir/s /alias | sort | uniq -c > /seen; test -L /key && test -L /link; \\
    ln /key /linked; ln /run/secrets/s /dir/linked; mv /real/key /moved; mv /etc/hosts /etc/before; test -e /seen
"""
    context = write_context(tmp_path / "c", {"Dockerfile": text, "s": "another secret\n"})
    images = []
    for each in (lab.program, program):
        each.build(context, "--no-cache", f"--secret=id=s,src={context}/s")
        images.append(trees.read_archive(each.save("built", tmp_path / "saved.tar")).tree)
    assert images[0]["/seen"].text == b"      5 another secret\n"
    assert list(trees.differences(images[1], images[0], started=0)) == []


def test_a_step_fails_where_a_process_would_read_zeros_for_a_secret(program: Restricted, tmp_path: Path) -> None:
    text = """FROM small
RUN mkdir /closed && cp /bin/busybox /closed/cat && chmod 711 /closed/cat
USER bob
RUN --mount=type=secret,id=s,mode=0444 /closed/cat /run/secrets/s
"""
    context = write_context(tmp_path / "c", {"Dockerfile": text, "s": "content"})
    built = program.build(context, "--no-cache", f"--secret=id=s,src={context}/s", check=False)
    assert built.exit_code != 0
    assert "read the secret /run/secrets/s: a process got zeros" in built.printed


def test_a_step_harms_nothing_outside(program: Restricted, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"], process_group=0) as outside:
        try:
            pid = outside.pid
            text = f"""FROM small
RUN kill -9 {pid}; kill -9 -{pid}; kill -9 -1; renice -n 5 -p {pid}; taskset -p 1 {pid}; kill -9 $PPID; mknod /disk b 8 0; \\
    for n in $(seq 3 9); do (eval "true <&$n") 2> /dev/null && echo $n; done > /open; cd /tmp/../../..; ls > /top; ls / > /all
RUN test ! -s /open && grep -v all /all | cmp - /top
RUN ! chroot / true && ! unshare -m true && ! mount -t tmpfs x /tmp && ! cat /disk
"""
            program.build(write_context(tmp_path / "c", {"Dockerfile": text}))
            assert outside.poll() is None
            assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
            assert len(os.sched_getaffinity(pid)) == len(os.sched_getaffinity(0))
        finally:
            outside.kill()


@pytest.mark.parametrize(
    ("instruction", "options", "message"),
    [
        ("RUN --network=none true", (), "isolation chroot cannot give a network of its own"),
        ("RUN --security=insecure true", ("--allow=security.insecure",), "cannot give --security=insecure"),
        ("RUN --mount=type=cache,target=/a,id=x --mount=type=cache,target=/b,id=x true", (), "is mounted twice"),
        ("RUN true", ("--isolation=strict",), "root has no CAP_SYS_ADMIN"),
        ("RUN true", ("-v", "/etc:/e"), "isolation chroot copies what is mounted"),
    ],
)
def test_what_cannot_be_had_is_refused_at_its_line(
    program: Restricted, tmp_path: Path, instruction: str, options: tuple[str, ...], message: str
) -> None:
    context = write_context(tmp_path / "c", {"Dockerfile": f"FROM small\n{instruction}\n"})
    built = program.build(context, "--no-cache", *options, check=False)
    assert built.exit_code != 0
    assert message in built.printed
    assert ">>> RUN" in built.printed


def _marked(store: Path) -> list[int]:
    """The processes of the step that runs, by descriptors."""
    (record,) = store.glob("*/tmp-*/lent")
    mark = str(json.loads(record.read_text())["mark"])
    found = []
    for path in Path("/proc").glob("[0-9]*/limits"):
        try:
            if mark in path.read_text().split():
                found.append(os.pidfd_open(int(path.parent.name)))
        except OSError:  # it has just ended
            continue
    return found


def _child(pid: int, depth: int) -> int:
    """The last of *depth* processes, each the first child of the one before."""
    for _ in range(depth):
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


@pytest.mark.parametrize(("victim", "depth"), [("builder", 1), ("fork server", 2), ("keeper", 3)])
def test_a_kill_leaves_no_process_and_no_secret_and_loses_no_cache(
    program: Restricted, tmp_path: Path, victim: str, depth: int
) -> None:
    cache = f"--mount=type=cache,target=/c,id={depth}"
    text = f"FROM small\nRUN {cache} --mount=type=secret,id=s echo kept > /c/n; setsid sleep 1000 & sleep 1000 & echo up; wait\n"
    context = write_context(tmp_path / "c", {"Dockerfile": text, "s": "the content of a secret"})
    words = ("build", "--no-cache", "--progress=plain", f"--secret=id=s,src={context}/s", os.fspath(context))
    with program.start(*words) as building:
        assert building.stderr is not None
        assert any(line.endswith(" up\n") for line in building.stderr)
        left = _marked(program.store)
        assert len(left) >= 3
        os.kill(_child(building.pid, depth), signal.SIGKILL)
        building.communicate(timeout=_PATIENCE)
    assert building.returncode != 0
    for pidfd in left:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        assert poller.poll(_PATIENCE * 1000), victim
        os.close(pidfd)
    # Looked for before the next build, which removes what was left of the step.
    assert subprocess.run(["grep", "-rqF", "the content of a secret", program.store], check=False).returncode == 1
    context.joinpath("Dockerfile").write_text(f"FROM small\nRUN {cache} cat /c/n\n")
    again = program.build(context)
    assert " kept" in again.printed
    assert list(program.store.glob("*/tmp-*")) == []


def test_no_hard_link_joins_a_cache_mount_and_an_image(program: Restricted, tmp_path: Path) -> None:
    cache = "--mount=type=cache,target=/c,id=links"
    for tag, line in {
        "linked": f"RUN {cache} echo good > /c/f && ln /c/f /linked && ln /etc/motd /c/motd",
        "later": f"RUN {cache} echo changed > /c/f && echo changed > /c/motd",
    }.items():
        program.build(write_context(tmp_path / tag, {"Dockerfile": f"FROM small\n{line}\n"}), tag=tag)
    text = f"""FROM linked
RUN cat /linked /etc/motd | tr '\\n' ' ' && echo other > /linked
RUN {cache} cat /c/f
"""
    built = program.build(write_context(tmp_path / "use", {"Dockerfile": text}), check=False)
    assert built.exit_code == 0, built.printed
    assert " good welcome" in built.printed
    assert built.printed.count(" changed") == 1


def test_a_file_of_a_bind_mount_may_be_linked_into_the_tree_and_is_a_copy(program: Restricted, tmp_path: Path) -> None:
    mount = "--mount=type=bind,from=a,target=/b"
    text = f"""FROM small AS a
RUN echo good > /f
FROM small
RUN {mount} ln /b/f /linked && echo changed > /b/f && mv /b/etc/motd /moved
RUN {mount} --mount=type=bind,source=s,target=/s cat /b/f /b/etc/motd /s > /seen && ln /s /context && echo changed > /s
"""
    context = write_context(tmp_path / "c", {"Dockerfile": text, "s": "of the context\n"})
    program.build(context, "--no-cache")
    tree = trees.read_archive(program.save("built", tmp_path / "saved.tar")).tree
    assert tree["/seen"].text == b"good\nwelcome\nof the context\n"
    assert (tree["/linked"].text, tree["/linked"].same) == (b"changed\n", "")
    assert tree["/moved"].text == b"welcome\n"
    assert not {"/b/f", "/context"} & tree.keys()
    assert (context / "s").read_text() == "of the context\n"
