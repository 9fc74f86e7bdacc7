"""The state of a stage at one of its instructions, as far as the checks need it."""

import posixpath
from collections.abc import Mapping
from contextlib import suppress

from pybuild.builder.checks.variables import Guesses
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.stages.config import split_env, with_default_path
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Arg, Env, Instruction, Shell, Word, Workdir
from pybuild.grammar.words.expand import expand
from pybuild.runtime.values import field, frozen


@frozen
class Globals:
    """What the stages of a file share: the global scope, the given build arguments, the escape character."""

    scope: Mapping[str, str]
    build_args: Mapping[str, str]
    escape: str
    guesses: Guesses = field(default_factory=Guesses)


class StageScope:
    """Follows the instructions of a stage. Mistakes in words are not reported here but by `builder.stages`."""

    def __init__(self, around: Globals, base: ImageConfig | None) -> None:
        """Start at the top of a stage on *base*; None: an image that could not be looked up."""
        config = with_default_path(base.config if base is not None else ContainerConfig())
        self.around = around
        self.known = base is not None
        """False when the base image could not be looked up, so that any variable may come from it."""
        self.variables = split_env(config.env)
        self.declared: set[str] = set()
        """The names of ARG, with a value or without one."""
        self.has_shell = bool(config.shell)
        self.workdir_is_set = False

    def copy(self) -> "StageScope":
        """Return the scope at the top of a stage on this one."""
        made = StageScope(self.around, None)
        made.known, made.has_shell, made.workdir_is_set = self.known, self.has_shell, self.workdir_is_set
        made.variables, made.declared = dict(self.variables), set(self.declared)
        return made

    def expand(self, word: Word) -> str | None:
        """Return *word* with the variables so far, None when it is malformed."""
        with suppress(DockerfileError):
            return expand(word, self.variables, escape=self.around.escape)
        return None

    def defines(self, name: str) -> bool:
        """Return whether a word may use *name*."""
        return not self.known or name in self.variables or name in self.declared

    def follow(self, node: Instruction) -> None:
        """Update the scope for *node*."""
        match node:
            case Arg(items=items):
                for name, default in items:
                    self.declare(name, default)
            case Env(pairs=pairs):
                found = [(self.expand(key), self.expand(value)) for key, value in pairs]
                self.variables |= {key: value or "" for key, value in found if key}
            case Shell():
                self.has_shell = True
            case Workdir():
                self.workdir_is_set = True
            case _:
                pass

    def declare(self, name: str, default: Word | None) -> None:
        """Update the scope for one ``name=default`` of ARG."""
        value = self.around.build_args.get(name)
        if value is None:
            value = self.expand(default) if default is not None else self.around.scope.get(name)
        if value is not None:
            self.variables[name] = value
        self.declared.add(name)


def clean_source(text: str) -> str:
    """Return the source of a COPY as a path of the context."""
    return posixpath.normpath(text).lstrip("/") or "."
