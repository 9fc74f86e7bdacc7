"""A builder that is killed at any moment leaves a store that the next one uses, and nothing on the host."""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.leftovers import mounts_below, now, wait_until_no_process
from tests.helpers.program import Program, build_arguments, built
from tests.helpers.thorough import first_in_ci
from tests.helpers.waiting import PATIENCE

SEED = 20240229

DOCKERFILE = """
    FROM small AS left
    COPY many /many/
    RUN cat /many/* > /left && sleep 0.05
    FROM small AS right
    COPY large /large
    RUN head -c 300000 /dev/urandom > /right && mkdir -p /a/b/c && rm -r /home
    FROM small
    COPY --from=left /left /
    COPY --from=right /right /a /
    RUN --mount=type=cache,target=/c touch /c/x && sha256sum /left > /sum && rm /etc/motd
    WORKDIR /w
    COPY --chown=alice many/1 .
"""


def _context(directory: Path) -> Path:
    files = {f"many/{number}": "x" * number for number in range(100)}
    return write_context(directory, {"Dockerfile": DOCKERFILE, "large": "0123456789abcdef" * 65536, **files})


def _fresh_store(program: Program, directory: Path) -> Program:
    """A copy of the store that knows the base only."""
    shutil.copytree(program.store, directory, symlinks=True)
    return Program(store=directory)


def _duration(program: Program, context: Path) -> float:
    start = time.monotonic()
    program.build(context)
    return time.monotonic() - start


def _kill_after(program: Program, context: Path, delay: float) -> bool:
    """Start a build and kill it, the one process alone, after *delay* seconds; False if it has ended by then."""
    process = program.start(*build_arguments(context))
    try:
        process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


@pytest.mark.parametrize("kills", first_in_ci(10, 50))
def test_next_build_succeeds_after_a_kill_at_any_moment(program: Program, tmp_path: Path, kills: int) -> None:
    context = _context(tmp_path / "context")
    whole = _duration(_fresh_store(program, tmp_path / "measured"), context)
    moments = random.Random(SEED)
    killed = 0
    while killed < kills:
        victim = _fresh_store(program, tmp_path / "victim")
        begin = now()
        if _kill_after(victim, context, moments.uniform(0, whole)):
            killed += 1
        else:
            # The machine is faster now than it was when the build was measured.
            whole *= 0.9
        assert wait_until_no_process(str(victim.store), begin) == []
        assert mounts_below(victim.store) == []
        assert validate_store(victim.store) == []
        victim.build(context)
        assert validate_store(victim.store) == []
        assert mounts_below(victim.store) == []
        shutil.rmtree(victim.store)


def test_many_kills_on_one_store(program: Program, tmp_path: Path) -> None:
    context = _context(tmp_path / "context")
    moments = random.Random(SEED + 1)
    begin = now()
    for _ in range(10):
        _kill_after(program, context, moments.uniform(0, 0.7))
    program.build(context)
    assert validate_store(program.store) == []
    assert wait_until_no_process(str(program.store), begin) == []


def test_a_step_that_never_ends_ends_with_its_killed_builder(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN (sleep 1000 &); setsid sleep 1000 & echo ready; sleep 1000\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    begin = now()
    _kill_when_it_prints(program, context, "ready")
    assert wait_until_no_process(str(program.store), begin) == []


def test_what_a_killed_builder_left_is_swept(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN head -c 1000000 /dev/zero > /zeros && echo ready && sleep 1000\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    _kill_when_it_prints(program, context, "ready")
    (context / "Dockerfile").write_text("FROM small\nRUN echo done > /done\n")
    program.build(context)
    zeros = [path for path in program.store.rglob("zeros") if path.stat().st_size == 1000000]
    assert zeros == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_build_cleans_up_and_says_so(program: Program, tmp_path: Path, sent: signal.Signals) -> None:
    text = "FROM small\nRUN echo one > /one\nRUN echo ready && sleep 1000\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    begin = now()
    # With --jobs a command begins when the layer below it is stored; else it would be lost with the interrupted packing.
    process = program.start(*build_arguments(context), "--jobs", "2")
    printed = _read_until(process, "ready")
    process.send_signal(sent)
    _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, printed + rest
    assert "Traceback" not in printed + rest
    assert wait_until_no_process(str(program.store), begin) == []
    assert mounts_below(program.store) == []
    again = program.start(*build_arguments(context))
    printed = _read_until(again, "ready")
    again.kill()
    again.communicate()
    assert built(0, printed).cached == ["[2/3] RUN echo one > /one"]
    assert validate_store(program.store) == []


@pytest.mark.parametrize("signals", [1, 2])
def test_a_build_that_packs_a_large_file_stops_at_once(program: Program, tmp_path: Path, signals: int) -> None:
    text = "FROM small\nRUN truncate -s 60G /large\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    process = program.start(*build_arguments(context))
    while not list((program.store / "tmp").glob("blob-*")):
        assert process.poll() is None
        time.sleep(0.02)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, printed = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130, printed
    assert list((program.store / "tmp").iterdir()) == []


def _kill_when_it_prints(program: Program, context: Path, word: str) -> None:
    process = program.start(*build_arguments(context))
    _read_until(process, word)
    process.kill()
    process.communicate()


def _read_until(process: "subprocess.Popen[str]", word: str) -> str:
    """What the process prints up to the line that ends in *word*, which is not the line that names the step."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.rstrip().endswith(word) and "RUN" not in line:
            return "".join(lines)
    raise AssertionError("".join(lines))
