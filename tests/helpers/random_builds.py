"""Contexts and Dockerfiles that are drawn by chance, the same for the same seed.

They are made of few names, so that copies meet files, directories and symlinks that are already there. What is listed
in tests/interop/differences.toml as meant is not drawn: names of owners on scratch, ``--exclude`` of what a source
names itself, and modes that the umask of dockerd changes.
"""

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_NAMES = ("a", "b", "c.txt", "d", "e.md", "sub", "x y", ".hidden", "ü", "a.b.c")
_LINKS = ("a", "b", "sub", "../a", "/etc", "sub/a", "missing", ".", "..", "/sub")
_VARIABLES = ("A", "B", "PATHS", "E", "number")
_VALUES = (
    "",
    "v",
    "two words",
    "a/b",
    "*.txt",
    "sub",
    "$A",
    "${B}",
    "'q'",
    '"dq"',
    "1000",
    "/abs",
    "a.b.c",
    "é",
    "\\$x",
)
_OPERATORS = (":-", ":+", "-", "+", "#", "##", "%", "%%", "/", "//")
_PATTERNS = ("v", "d w", "*", "a*", "?", "*/", "$A", "${B:-x}", "", "x/y", "\\*", "[ab]")
_IGNORED = ("a", "b", "sub/*", "**/a", "*.md", "**/*.txt", "d/**", "?", "[a-c]*", "/a", "a/", "sub/../b", "# c", "")
_STAGE_PATHS = ("/etc", "/etc/passwd", "/etc/", "bin/sh", "/etc/*", "/etc/gro*", "/out", "/tmp", "/w", "etc/../etc")
_MODES = ("644", "0755", "u+x", "go-rwx", "a=r", "4755", "u=rwX,go=rX", "700")
_COMMANDS = (
    "mkdir -p /out/deep && echo hi > /out/deep/f",
    "ln -sfn /out /ln",
    "rm -rf /w/a /d; mkdir /d; echo n > /d/new",
    "mkdir -p w && echo $A > w/x",
    "touch a; chmod 600 a; ln -f a hard || true",
    "mv /out /moved || true",
    'echo "$B" >> /log; id >> /log; pwd >> /log',
    "cp -a /etc /etc2",
    "chown 12:34 /etc/passwd || true",
    "rm -rf /sub && ln -s /out /sub",
)
_MOUNTS = (
    "--mount=type=tmpfs,target=/m/deep ",
    "--mount=type=cache,target=/m ",
    "--mount=type=cache,target=/etc/m,uid=5,mode=0711 ",
    "--mount=target=/m ",
    "--mount=type=bind,target=m,rw ",
)
_SETTINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("EXPOSE", ("80", "80/tcp 53/udp", "8000-8003", "443/TCP")),
    ("VOLUME", ("/w", "/vol /vol2", '["/w","/out"]', "rel")),
    ("USER", ("1", "1:2", "root", "0", "1000:7")),
    ("CMD", ("echo $A", '["a", "b"]', "[]", "exec top  ", '[ "$A" ]')),
    ("ENTRYPOINT", ('["/bin/sh"]', "exec x", "[]", '["a",""]')),
    ("SHELL", ('["/bin/sh","-c"]', '["/bin/sh","-ec"]')),
    ("STOPSIGNAL", ("SIGKILL", "9", "SIGRTMIN+3", "sigterm")),
    ("ONBUILD", ("RUN touch /onbuild", "ENV OB=$A", "COPY a /onbuild/", "LABEL o=$B", "WORKDIR onbuild")),
    ("WORKDIR", ("/w", "w/../x", "/w/$A", "${B:-bb}", "deep/")),
)


@dataclass(slots=True, kw_only=True)
class RandomBuild:
    """Draws a context and a Dockerfile."""

    draw: random.Random
    _paths: list[str] = field(default_factory=list)

    def fill(self, context: Path) -> None:
        """Make files, directories, symlinks, hard links and pipes in *context*, which is made."""
        context.mkdir(parents=True)
        self._fill(context, 0)
        self._paths = sorted(os.fspath(path.relative_to(context)) for path in context.rglob("*"))
        if self.draw.random() < 0.2:
            rules = (self._one("", "!") + self._one(*_IGNORED[:-2]) for _ in range(self.draw.randint(1, 4)))
            (context / ".dockerignore").write_text("\n".join([*rules, self._one(*_IGNORED)]))

    def dockerfile(self) -> str:
        """Return a Dockerfile of one to three stages for the context that was filled."""
        lines = [f"ARG {self._one(*_VARIABLES)}={self._one('v', '1000')}" for _ in range(self.draw.randint(0, 2))]
        stages: list[str] = []
        for number in range(self._one(1, 1, 2, 3)):
            lines.append(f"FROM {self._one('small', 'small', 'small', 'scratch', *stages)} AS s{number}")
            lines += (self._instruction(stages, lines[-1]) for _ in range(self.draw.randint(1, 6)))
            stages.append(f"s{number}")
        # An image without a layer cannot be saved by Docker.
        return "\n".join([*lines, "WORKDIR /last", ""])

    def _fill(self, directory: Path, depth: int) -> None:
        for name in self.draw.sample(_NAMES, self.draw.randint(1, 5)):
            path = directory / name
            kind = self.draw.random()
            if kind < 0.5 or (kind < 0.8 and depth > 2):
                path.write_text(f"{name} {depth}\n" * self.draw.randint(0, 3))
                path.chmod(self._one(0o644, 0o644, 0o755, 0o600, 0o4755))
            elif kind < 0.8:
                path.mkdir()
                self._fill(path, depth + 1)
                path.chmod(self._one(0o755, 0o755, 0o700, 0o1777, 0o2755))
            elif kind < 0.95:
                path.symlink_to(self._one(*_LINKS))
            else:
                os.mkfifo(path)
            if not path.is_symlink():
                os.utime(path, (1500000000, 1500000000 + self.draw.randint(0, 10**8)))

    def _instruction(self, stages: Sequence[str], before: str) -> str:
        kinds: tuple[Callable[[], str], ...] = (
            lambda: self._copy(stages),
            lambda: self._copy(stages),
            self._setting,
            self._variables,
            self._setting if "scratch" in before else self._run,
        )
        return self._one(*kinds)()

    def _copy(self, stages: Sequence[str]) -> str:
        keyword = self._one("COPY", "COPY", "ADD")
        stage = self._one(*stages) if stages and keyword == "COPY" and self.draw.random() < 0.4 else ""
        flags = [
            f"--from={stage}" if stage else "",
            self._sometimes(f"--chown={self._one('1', '1000:5', '0:7')}"),
            self._sometimes(f"--chmod={self._one(*_MODES)}"),
            self._sometimes("--link"),
        ]
        sources = [self._one(*_STAGE_PATHS) if stage else self._source() for _ in range(self._one(1, 1, 2))]
        parts = self.draw.choices(("a", "d", "sub", "out", "ln", "..", "$A", "new"), k=self.draw.randint(1, 3))
        target = self._one("", "/", "./", "/w/") + "/".join(parts)
        words = [*sources, target + ("/" if len(sources) > 1 else self._one("", "/"))]
        shown = json.dumps(words) if any(" " in word for word in words) else " ".join(words)
        return " ".join([keyword, *filter(None, flags), shown])

    def _source(self) -> str:
        path = self._one(*self._paths)
        forms = (path, path, f"/{path}", f"./{path}", f"x/../{path}", f"{path[:-1]}*", os.path.dirname(path) or ".")
        return self._one(*forms) + self._one("", "", "", "/.")

    def _run(self) -> str:
        mount = self._sometimes(self._one(*_MOUNTS))
        command = self._one(*_COMMANDS)
        forms = (
            command,
            command,
            command.replace(" && ", " && \\\n  # why\n   "),
            f"<<EOF\n{command}\necho $A > /d\nEOF",
        )
        return f"RUN {mount}{self._one(*forms)}"

    def _setting(self) -> str:
        keyword, values = self._one(*_SETTINGS)
        return f"{keyword} {self._one(*values)}"

    def _variables(self) -> str:
        keyword = self._one("ENV", "ARG", "LABEL")
        return f"{keyword} {self._one(*_VARIABLES)}={self._word()} {self._one(*_VARIABLES)}={self._word()}"

    def _word(self) -> str:
        name = self._one(*_VARIABLES)
        pattern = self._one(*_PATTERNS)
        operator = self._one(*_OPERATORS)
        changed = f"{pattern}/{self._one('', 'R', '$B')}" if operator.startswith("/") else pattern
        word = self._one(self._one(*_VALUES), f"${name}", f"p-${{{name}{operator}{changed}}}.s")
        escaped = word.replace('"', '\\"')
        return self._one(f'"{escaped}"', f'"{escaped}"', word.replace(" ", "\\ "))

    def _sometimes(self, text: str) -> str:
        return text if self.draw.random() < 0.2 else ""

    def _one(self, *choices: T) -> T:
        return self.draw.choice(choices)
