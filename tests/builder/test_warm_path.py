"""A build in which nothing changed imports little and reads no file of its context."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.web import Web

HEAVY = {
    "click",
    "dataclasses",
    "difflib",
    "inspect",
    "lark",
    "networkx",
    "requests",
    "zstandard",
    "isal",
    "pybuild.grammar.dockerfile.parser",
    "pybuild.builder.graph.graph",
    "pybuild.builder.stages.stages",
    "pickle",
    "socket",
    "pybuild.runtime.sandbox.inside.seccomp",
}
HEAVY |= {"pybuild.builder.checks", "pybuild.grammar.lint.lint", "pybuild.grammar.lint.rules"}

PROGRAM = """
import json, os, sys
opened = []
def note(event, args):
    if event == "open" and not args[2] & os.O_PATH:
        opened.append(os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else args[0])
sys.addaudithook(note)
from pybuild.builder.cli.main import main
try:
    sys.argv[:] = ["pybuild", "build", "--root", sys.argv[1], "-q", "-t", "warm:1", sys.argv[2]]
    main()
except SystemExit as end:
    code = end.code
print(json.dumps({"code": code, "modules": sorted(sys.modules), "opened": opened}), file=sys.stderr)
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    (directory / "src" / "deep").mkdir(parents=True)
    for number in range(30):
        (directory / "src" / f"file-{number}").write_text(f"content {number}")
        (directory / "src" / "deep" / f"inner-{number}").write_text(f"content {number}")
    (directory / ".dockerignore").write_text("*.log\n")
    (directory / "Dockerfile").write_text(
        "ARG WHERE=/out\nFROM scratch AS first\nCOPY src /data/\nFROM scratch\nARG WHERE\n"
        "COPY --from=first /data/ $WHERE/\nCOPY src/file-1 /one\nWORKDIR /work\nENV A=b\n"
    )
    # Files younger than a tick of the clock are read again, by design.
    old = time.time() - 60
    for path in directory.rglob("*"):
        os.utime(path, (old, old))
    time.sleep(0.05)
    return directory


def build(store: Path, context: Path) -> dict[str, object]:
    command = [sys.executable, "-c", PROGRAM, str(store), str(context)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    report: dict[str, object] = json.loads(done.stderr.splitlines()[-1])
    report["stdout"] = done.stdout
    return report


def test_an_unchanged_build_imports_no_parser_graph_compressor_or_http_client(tmp_path: Path, context: Path) -> None:
    cold = build(tmp_path / "store", context)
    warm = build(tmp_path / "store", context)
    assert cold["code"] == warm["code"] == 0
    assert cold["stdout"] == warm["stdout"]
    assert HEAVY.intersection(cold["modules"]) >= {"pybuild.builder.stages.stages", "isal"}
    assert HEAVY.intersection(warm["modules"]) == set()


@pytest.mark.parametrize("name", ["plain", "tty", "quiet", "rawjson"])
def test_a_display_loads_nothing_that_an_unchanged_build_does_not_need(name: str) -> None:
    program = f"import sys, pybuild.builder.display.{name}; print({HEAVY | {'tempfile', 'shutil'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_unchanged_build_reads_no_file_of_the_context(tmp_path: Path, context: Path) -> None:
    cold = build(tmp_path / "store", context)
    warm = build(tmp_path / "store", context)
    names = {path.name for path in (context / "src").rglob("*") if path.is_file()}
    assert names.intersection(Path(str(path)).name for path in cold["opened"])
    assert not names.intersection(Path(str(path)).name for path in warm["opened"])


def test_a_file_with_a_known_checksum_costs_no_http_client_and_no_server(tmp_path: Path, context: Path) -> None:
    with Web() as web:
        web.files["/a"] = b"content"
        digest = hashlib.sha256(b"content").hexdigest()
        (context / "Dockerfile").write_text(f"FROM scratch\nADD --checksum=sha256:{digest} {web.url('/a')} /a\n")
        cold = build(tmp_path / "store", context)
    warm = build(tmp_path / "store", context)
    assert cold["stdout"] == warm["stdout"]
    assert "requests" in cold["modules"]
    assert HEAVY.intersection(warm["modules"]) == set()
