"""The process that makes the graph: the same plans, with or without it, and nothing of it is left."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from pybuild.builder.graph import planner_process
from pybuild.builder.graph.graph import plan
from pybuild.builder.graph.planner_process import PRELOAD, GraphProcess, preparations
from pybuild.builder.plan import codec
from pybuild.builder.plan.plan import BasePin, Definition
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox import forkserver_client, isolation
from tests.helpers.resolving import BASE, stages_of

PINS = {BASE: BasePin("sha256:" + "2" * 64, ("sha256:" + "1" * 64,))}
TEXT = "FROM base AS one\nRUN x\nCOPY a /b\nFROM base\nCOPY --from=one /b /\nRUN --mount=type=cache,target=/c y\n"
DEFINITION = Definition("Dockerfile", TEXT)

PROGRAM = """
import json, os, sys
from pybuild.builder.cli.main import run
code = run(["--root", sys.argv[1], "build", "--progress", sys.argv[3], "-t", "x", sys.argv[2]])
try:
    left = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    left = None
print(json.dumps({"code": code, "networkx": "networkx" in sys.modules, "lark": "lark" in sys.modules, "left": left}))
"""

PART = """
import json, sys
from pybuild.builder.graph.planner_process import _import_part_of_networkx
_import_part_of_networkx()
from pybuild.builder.graph.graph import plan
from pybuild.builder.plan import codec
from pybuild.builder.plan.plan import BasePin, Definition
from tests.helpers.resolving import BASE, stages_of
pins = {BASE: BasePin("sha256:" + "2" * 64, ("sha256:" + "1" * 64,))}
made = codec.encode(plan(stages_of(sys.argv[1]), pins))
print(json.dumps({"plan": made, "modules": list(sys.modules)}))
"""


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork although the tests have imported networkx and may have threads."""
    monkeypatch.setattr(planner_process, "_saves_time", lambda: True)


def built(
    tmp_path: Path, text: str, progress: str, cpus: set[int] | None = None, program: str = PROGRAM
) -> dict[str, object]:
    (tmp_path / "Dockerfile").write_text(text)
    command = [sys.executable, "-c", program, str(tmp_path / "store"), str(tmp_path), progress]
    pin = None if cpus is None else lambda: os.sched_setaffinity(0, cpus)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, preexec_fn=pin)
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.usefixtures("forked")
def test_the_other_process_makes_the_same_plans() -> None:
    stages = stages_of(TEXT)
    with GraphProcess() as graphs:
        graphs.start(DEFINITION)
        graphs.start(DEFINITION)
        made = [graphs.plan(stages, PINS, {}) for _ in range(2)]
    assert made == [plan(stages, PINS)] * 2


def test_without_another_process_this_one_makes_it() -> None:
    stages = stages_of(TEXT)
    with GraphProcess() as graphs:
        assert graphs.plan(stages, PINS, {}) == plan(stages, PINS)


@pytest.mark.usefixtures("forked")
def test_this_process_takes_over_when_the_other_one_was_killed() -> None:
    stages = stages_of(TEXT)
    with GraphProcess() as graphs:
        graphs.start(DEFINITION)
        os.kill(graphs._child, signal.SIGKILL)
        assert graphs.plan(stages, PINS, {}) == plan(stages, PINS)


@pytest.mark.usefixtures("forked")
def test_the_other_process_parses_once() -> None:
    definition = Definition("Dockerfile", TEXT)
    with GraphProcess() as graphs:
        graphs.start(definition)
        graphs.parse()
        graphs.parse()
        assert definition._parsed == [Definition("Dockerfile", TEXT).parsed_prefix()]
        assert graphs.plan(stages_of(TEXT), PINS, {}) == plan(stages_of(TEXT), PINS)


@pytest.mark.usefixtures("forked")
def test_a_mistake_comes_from_the_other_process_as_it_is() -> None:
    text = "FROM base\nRUNN x\n"
    definition = Definition("Dockerfile", text)
    with GraphProcess() as graphs:
        graphs.start(definition)
        graphs.parse()
        assert len(definition._parsed) == 1
    dockerfile, mistake = definition.parsed_prefix()
    there, expected = Definition("Dockerfile", text).parsed_prefix()
    assert dockerfile == there
    assert mistake is not None
    assert expected is not None
    assert (mistake.message, mistake.span, mistake.hint) == (expected.message, expected.span, expected.hint)


@pytest.mark.usefixtures("forked")
def test_this_process_parses_when_the_other_one_was_killed() -> None:
    definition = Definition("Dockerfile", TEXT)
    with GraphProcess() as graphs:
        graphs.start(definition)
        os.kill(graphs._child, signal.SIGKILL)
        os.waitid(os.P_PID, graphs._child, os.WEXITED | os.WNOWAIT)
        graphs.parse()
        assert definition.parsed_prefix() == Definition("Dockerfile", TEXT).parsed_prefix()


@pytest.mark.usefixtures("forked")
def test_this_process_is_prepared_as_long_as_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True, True])
    done: list[str] = []
    monkeypatch.setattr(planner_process, "_is_readable", lambda _channel: next(answers))
    definition = Definition("Dockerfile", TEXT)
    with GraphProcess([partial(done.append, name) for name in ("one", "two", "three")]) as graphs:
        graphs.start(definition)
        graphs.parse()
        assert done == ["one", "two"]
        graphs.plan(stages_of(TEXT), PINS, {})
    assert done == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "direct", "started"),
    [
        ("FROM base\nRUN x\n", True, 1),
        ("FROM base\nrun x\n", True, 1),
        ("FROM base\nCOPY a /\n", True, 0),
        ("FROM base\nRUNN x\n# RUN x\n", True, 0),
        ("FROM base\nRUN x\n", False, 0),
    ],
)
def test_the_fork_server_is_started_for_a_run_of_this_process(
    text: str, direct: bool, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(forkserver_client, "start", lambda: calls.append(1))
    monkeypatch.setattr(isolation, "is_direct", lambda: direct)
    for prepare in preparations(text):
        prepare()
    assert len(calls) == started


def test_the_first_run_reports_a_fork_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise SandboxError("start", "the sandbox child", errno.EAGAIN)

    monkeypatch.setattr(forkserver_client, "start", fail)
    monkeypatch.setattr(isolation, "is_direct", lambda: True)
    *_, start = preparations("RUN x")
    start()


def test_what_is_imported_meanwhile_is_there() -> None:
    assert all(find_spec(name) for name in PRELOAD)


def test_a_cold_build_does_not_wait_for_dataclasses() -> None:
    """They load inspect, which takes as long as all modules of `builder.stages`."""
    names = ["pybuild.builder.graph.new_plan", *PRELOAD, "pybuild.builder.oci.layers.unpack"]
    program = f"import sys, {', '.join(names)}; print({{'dataclasses', 'inspect'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.usefixtures("forked")
def test_a_failure_is_that_of_this_process() -> None:
    with GraphProcess() as graphs:
        graphs.start(DEFINITION)
        with pytest.raises(KeyError, match="base"):
            graphs.plan(stages_of(TEXT), {}, {})


@pytest.mark.usefixtures("forked")
def test_it_ends_with_the_block_and_when_its_parent_is_gone() -> None:
    with GraphProcess() as graphs:
        graphs.start(DEFINITION)
        child = graphs._child
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)
    graphs = GraphProcess()
    graphs.start(DEFINITION)
    assert graphs._channel is not None
    graphs._channel.close()  # as the kernel does when this process is killed
    assert os.waitstatus_to_exitcode(os.waitpid(graphs._child, 0)[1]) == 1


@pytest.mark.usefixtures("forked")
def test_a_kernel_without_pidfds_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    stages = stages_of(TEXT)
    with GraphProcess() as graphs:
        graphs.start(DEFINITION)
        child = graphs._child
        assert graphs.plan(stages, PINS, {}) == plan(stages, PINS)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)


@pytest.mark.usefixtures("forked")
def test_it_keeps_no_file_of_its_parent_open(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb"), GraphProcess() as graphs:
        graphs.start(DEFINITION)
        graphs.plan(stages_of(TEXT), PINS, {})
        held = [os.readlink(entry) for entry in Path(f"/proc/{graphs._child}/fd").iterdir()]
    assert str(tmp_path / "file") not in held


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "networkx")
    monkeypatch.setattr(os, "listdir", lambda _path: ["1"])
    monkeypatch.setattr(GraphProcess, "was_started", False)
    assert planner_process._saves_time()
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "networkx")
    monkeypatch.setattr(GraphProcess, "was_started", False)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert not planner_process._saves_time()
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("progress", ["plain", "quiet", "rawjson"])
def test_a_first_build_imports_lark_here_and_networkx_there(tmp_path: Path, progress: str) -> None:
    report = built(tmp_path, "FROM scratch\nWORKDIR /a\n", progress)
    assert report == {"code": 0, "networkx": False, "lark": False, "left": None}


def test_a_build_that_fails_leaves_no_process(tmp_path: Path) -> None:
    report = built(tmp_path, "FROM scratch\nRUNN /a\n", "plain")
    assert report == {"code": 2, "networkx": False, "lark": False, "left": None}


def test_with_one_processor_the_other_process_saves_time_too(tmp_path: Path) -> None:
    report = built(tmp_path, "FROM scratch\nWORKDIR /a\n", "plain", {min(os.sched_getaffinity(0))})
    assert report == {"code": 0, "networkx": False, "lark": False, "left": None}


def test_a_part_of_networkx_makes_the_plan_of_the_whole() -> None:
    words = [sys.executable, "-c", PART, TEXT]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(done.stdout)
    assert report["plan"] == codec.encode(plan(stages_of(TEXT), PINS))
    assert "networkx.algorithms.dag" in report["modules"]
    assert {"networkx.generators.classic", "networkx.algorithms.flow", "email", "zipfile"}.isdisjoint(report["modules"])
    assert len([name for name in report["modules"] if name.startswith("networkx")]) < 60


def test_the_second_build_of_a_program_imports_networkx_itself(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Dockerfile").write_text("FROM scratch\nWORKDIR /b\n")
    first = f"run(['--root', sys.argv[1], 'build', '-q', {str(tmp_path / 'other')!r}])\ncode = run("
    report = built(tmp_path, "FROM scratch\nWORKDIR /a\n", "plain", program=PROGRAM.replace("code = run(", first))
    assert report == {"code": 0, "networkx": True, "lark": True, "left": None}
