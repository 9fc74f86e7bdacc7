"""Mistakes in a Dockerfile or in its images are told as such: with their place, without a number, with exit code 1."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

LOOP = "RUN ln -s b /a && ln -s a /b\n"
FILE = "a file is in the way, where a directory is needed"
DIRECTORY = "a directory is in the way, where a file is needed"
SYSTEM = "mounts on /dev, in /proc and in /sys are not allowed"
MISTAKES = {
    "a directory on a file": ("RUN --mount=source=d,target=/etc/passwd true", FILE),
    "a file on a directory": ("RUN --mount=source=f,target=/etc true", DIRECTORY),
    "a cache on a file": ("RUN --mount=type=cache,target=/etc/passwd true", FILE),
    "a secret on a directory": ("RUN --mount=type=secret,id=s,target=/etc true", DIRECTORY),
    "below a file": ("RUN --mount=type=tmpfs,target=/etc/passwd/x true", FILE),
    "a file below a file": ("RUN --mount=source=f,target=/etc/passwd/x true", FILE),
    "in /proc": ("RUN --mount=type=tmpfs,target=/proc/x true", SYSTEM),
    "on /sys": ("RUN --mount=type=tmpfs,target=/sys true", SYSTEM),
    "on a device": ("RUN --mount=type=cache,target=/dev/null true", "the sandbox has something of its own there"),
    "a loop": (f"{LOOP}RUN --mount=type=tmpfs,target=/a true", "too many symlinks on the way"),
    "a loop on the way": (f"{LOOP}RUN --mount=type=tmpfs,target=/a/x true", "too many symlinks on the way"),
    "resolv.conf is a directory": (
        "FROM scratch\nCOPY --from=small /bin /bin\nCOPY d /etc/resolv.conf/\nRUN true",
        f"cannot mount on /etc/resolv.conf: {DIRECTORY}",
    ),
    "a deletion mark made": ("RUN touch /.wh.x", "'.wh.x' cannot be stored in a layer"),
    "a deletion mark copied": ("COPY w /", "'.wh.x' cannot be stored in a layer"),
    "NUL in a variable": ("RUN --mount=type=secret,id=nul,env=S true", "secret nul: a variable cannot have a NUL byte"),
    "an unknown user": ("USER who\nRUN true", "unable to find user who"),
    "a working directory in a loop": (f"{LOOP}WORKDIR /a", "/a: too many links"),
}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "s").write_bytes(b"secret")
    (tmp_path / "nul").write_bytes(b"a\0b")
    return write_context(tmp_path / "context", {"f": "f\n", "d/g": "g\n", "w/.wh.x": "w\n"})


def failure(program: Program, context: Path, body: str) -> tuple[int, str]:
    (context / "Dockerfile").write_text(f"FROM small\n{body}\n")
    secrets = [word for name in ("s", "nul") for word in ("--secret", f"id={name},src={context.parent / name}")]
    built = program.build(context, *secrets, check=False)
    return built.exit_code, built.printed


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_where_it_stands(program: Program, context: Path, name: str) -> None:
    body, message = MISTAKES[name]
    code, printed = failure(program, context, body)
    assert code == 1
    assert f">>> {body.splitlines()[-1]}\n" in printed
    final = next(line for line in printed.splitlines() if line.startswith("ERROR: "))
    assert final.startswith("ERROR: failed to build: failed to solve: ")
    assert message in final
    assert "Errno" not in printed


MERGED = "RUN mkdir -p /usr/bin && cp -a /bin/. /usr/bin/ && /usr/bin/busybox rm -r /bin && /usr/bin/busybox ln -s usr/bin /bin\n"
HINTS = {
    "COPY rootfs /": (
        'hint: "/bin" is a symlink to usr/bin in the image, and "/rootfs/bin" of the source is a directory: '
        "leave it out with --exclude=bin, then COPY rootfs/bin/ /bin/ follows the symlink\n"
    ),
    "COPY --exclude=f f /x": "hint: it exists, but is excluded by --exclude\n",
    "COPY --parents up/link/g /p/": 'hint: "/up/link" is a symlink, which --parents does not follow: name "/d/g"\n',
}


@pytest.mark.parametrize("instruction", HINTS)
def test_a_hint_says_what_is_there_and_the_way_round(program: Program, context: Path, instruction: str) -> None:
    write_context(context, {"rootfs/bin/tool": "t\n", "up/x": "x\n"})
    (context / "up" / "link").symlink_to("../d")
    code, printed = failure(program, context, MERGED + instruction)
    assert code == 1
    assert HINTS[instruction] in printed


def test_the_way_round_is_one(program: Program, context: Path) -> None:
    write_context(context, {"rootfs/bin/tool": "t\n", "rootfs/etc/x": "x\n"})
    way = "COPY --exclude=bin rootfs /\nCOPY rootfs/bin/ /bin/\nRUN test -L /bin && test -e /usr/bin/tool && test -e /etc/x"
    assert failure(program, context, MERGED + way)[0] == 0


def test_a_long_script_is_shown_once_and_in_part(program: Program, context: Path) -> None:
    script = "\n".join(f"echo {number} > /dev/null" for number in range(2000))
    code, printed = failure(program, context, f"RUN <<END\n{script}\nexit 3\nEND")
    assert code == 1
    assert len(printed) < 4000
    assert printed.count("\necho ") == 0
    assert sum("echo 0 >" in line for line in printed.splitlines()) <= 5
    assert "lines more" in printed
    assert ">>> exit 3\n" in printed
    assert r"/bin/sh -c echo 0 > /dev/null\necho 1 > /dev/null\n" in printed


def test_run_says_it_without_a_place(program: Program) -> None:
    done = subprocess.run(
        program.command("run", "--tmpfs", "/etc/passwd", "small", "true"),
        env=program.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 125
    assert done.stderr.startswith("ERROR: ")
