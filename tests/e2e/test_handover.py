"""A RUN that begins while the layer of the one before is packed: what it sees, and what is left when one of them fails."""

import os
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import pybuild
from pybuild.builder.execute import run
from pybuild.builder.oci.layers.pack import pack_changes
from pybuild.builder.oci.validate import validate_store
from pybuild.builder.request import Volume
from pybuild.builder.store.layer_times import LayerTimes
from pybuild.runtime.stopping import check
from tests.helpers.contexts import write_context
from tests.helpers.leftovers import mounts_below, wait_until_no_process
from tests.helpers.program import Program

WAIT = "while ! test -e /flag/packed; do sleep 0.1; done"


def _context(directory: Path, *instructions: str) -> Path:
    (directory / "flag").mkdir(parents=True)
    return write_context(directory, {"Dockerfile": "\n".join(("FROM small", *instructions, ""))})


def _build(program: Program, context: Path) -> None:
    volumes = (Volume(host_path=context / "flag", target=PurePosixPath("/flag")),)
    with pybuild.Store.open(program.store) as store:
        pybuild.build(pybuild.Request.of(context=context, tags=("built",), network="host", volumes=volumes), store)


def _check_store(program: Program) -> None:
    assert mounts_below(program.store) == []
    assert os.listdir(program.store / "tmp") == []
    assert not [name for name in os.listdir(program.store / "snapshots") if name.startswith("tmp")]
    assert validate_store(program.store) == []


def _files(program: Program, script: str) -> str:
    return program.run("run", "--rm", "built", "sh", "-c", script).stdout


def test_a_command_runs_while_the_layer_below_is_packed(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = _context(
        tmp_path / "context",
        "RUN echo 1 >/a; echo 1 >/gone; mkdir -m 711 /d",
        f"RUN cat /a >/b; rm /gone; echo >/flag/begun; {WAIT}; echo 2 >/d/c",
        "RUN cat /a /b /d/c >/all",
    )
    flag = context / "flag"

    def slow(*arguments: Any, **settings: Any) -> None:
        # The first layer is packed only when the second command runs, and that ends only when it is packed.
        end = time.monotonic() + 60
        while not (flag / "begun").exists() and time.monotonic() < end:
            check()
        pack_changes(*arguments, **settings)
        (flag / "packed").touch()

    monkeypatch.setattr(run, "pack_changes", slow)
    _build(program, context)
    assert _files(program, "cat /all; ls -d /d/* /gone 2>&1; stat -c %a /d") == (
        "1\n1\n2\nls: /gone: No such file or directory\n/d/c\n711\n"
    )
    _check_store(program)
    assert program.build(context, f"--volume={flag}:/flag").executed == []


def test_a_layer_that_cannot_be_packed_ends_the_command_on_it(program: Program, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    context = _context(tmp_path / "context", "RUN echo >/.wh.name", f"RUN export MARK={mark}; sleep 300")
    ended = program.build(context, check=False)
    assert ended.exit_code == 1
    assert "'.wh.name' cannot be stored in a layer" in ended.printed
    assert wait_until_no_process(str(mark)) == []
    _check_store(program)


def test_a_command_that_fails_leaves_the_layer_below(program: Program, tmp_path: Path) -> None:
    context = _context(tmp_path / "context", "RUN echo 1 >/a", "RUN exit 3")
    assert program.build(context, check=False).exit_code == 1
    again = program.build(context, check=False)
    assert "[2/3] RUN echo 1 >/a" in again.cached
    _check_store(program)


def test_a_command_runs_again_when_the_layer_below_was_known_with_other_times(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = _context(tmp_path / "context", "RUN echo 1 >/a", "RUN cat /a >/b; echo >>/flag/runs", "RUN cat /b >/c")
    put = LayerTimes.put
    answers = iter([False, False])  # the layer of the first asks twice
    monkeypatch.setattr(LayerTimes, "put", lambda *each: put(*each) and next(answers, True))
    _build(program, context)
    assert (context / "flag" / "runs").read_text() == "\n\n"
    assert _files(program, "cat /a /b /c") == "1\n1\n1\n"
    _check_store(program)
