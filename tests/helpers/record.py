"""Write what Docker makes of a case into its expect.toml: ``python -m tests.helpers.record CASE...``.

For the author of a new case. What is recorded is then read and thought about; where pybuild means to differ, the
line is changed by hand and the reason goes to tests/interop/differences.toml.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers import bases, cases, configs, trees
from tests.helpers.peers import Docker, docker

_LONG = 400


def main(names: list[str]) -> None:
    """Build the cases called *names*, or all, and rewrite their expectations."""
    with tempfile.TemporaryDirectory(prefix="record-") as scratch, docker(Path(scratch) / "docker") as peer:
        tars = {"small": bases.small, "bookworm": bases.bookworm}
        wanted = [cases.load(name) for name in names or cases.names()]
        for base in ({case.base for case in wanted} | {"small"}) & tars.keys():
            peer.import_tar(tars[base](), base)
        known = {"scratch": {}, "small": trees.read_tar(bases.small())}
        for case in wanted:
            if not case.docker and case.base in known:
                _record(case, peer, known[case.base])


def _record(case: cases.Case, peer: Docker, base: trees.Tree) -> None:
    directory = peer.directory / "cases" / case.name
    directory.parent.mkdir(exist_ok=True)
    dockerfile = case.copy_to(directory)
    try:
        peer.build(directory / "context", dockerfile, case.name, case.options_in(directory))
    except subprocess.CalledProcessError as error:
        message = error.stderr.strip().splitlines()[-1]
        sys.stdout.write(f"{'ok  ' if case.fails and case.fails in message else 'BAD '} {case.name}: {message}\n")
        return
    if case.fails:
        sys.stdout.write(f"BAD  {case.name}: did not fail\n")
    image = trees.read_archive(peer.save(case.name, peer.directory / f"{case.name}.tar"))
    _write(case.directory / "expect.toml", configs.settings(image.config), _shortened(trees.lines(image.tree, base)))


def _shortened(lines: Mapping[str, str]) -> dict[str, str]:
    return {path: line if len(line) < _LONG else " ".join(line.split(" ")[:2]) for path, line in lines.items()}


def _write(path: Path, config: Mapping[str, Any], tree: Mapping[str, str]) -> None:
    head = re.split(r"^\[(?:config|tree)\]$", path.read_text(), maxsplit=1, flags=re.MULTILINE)[0].rstrip()
    sections = [head]
    if config:
        sections.append("[config]\n" + "\n".join(f"{name} = {_toml(value)}" for name, value in config.items()))
    if tree:
        sections.append("[tree]\n" + "\n".join(f"{_toml(key)} = {_toml(value)}" for key, value in tree.items()))
    path.write_text("\n\n".join(sections) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main(sys.argv[1:])
