"""The text and the exit code of a failure.

The modules that define the errors are imported inside the functions: they are needed only when something has failed.
"""

import errno
import os
import sys
from typing import TYPE_CHECKING

from pybuild.builder.display.failure import plain_failure
from pybuild.builder.display.sanitize import clean
from pybuild.grammar.parse_go import parse_bool
from pybuild.runtime.values import positional

if TYPE_CHECKING:
    import click

    from pybuild.builder.errors import BuildError
    from pybuild.grammar.errors import DockerfileError

_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
DONE, FAILED, USAGE, HOST, PULL, PUSH, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130
RUN = 125
TEMPLATE = 64
"""The exit code of docker for a template of ``inspect`` or ``events`` that cannot be parsed."""
_NO_THREAD = "can't start new thread"
"""What Python's RuntimeError says then, which has no type and no number of its own."""
_MORE_PROCESSES = "raise the limit of processes and threads (ulimit -u, or that of the container or pod), or of memory"
_LIKE_DOCKER = ("container.", "network.", "volume.")
_ALSO_OF_CONTAINERS = frozenset({"inspect", "run"})


@positional
class Failure:
    """The exact text to print, and the exit code."""

    text: str
    exit_code: int


class Described(Exception):
    """A failure that already has its text and exit code."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def describe(error: BaseException, *, debug: bool = False) -> Failure:
    """Return the text and the exit code for *error*."""
    if isinstance(error, Described):
        return error.failure
    if isinstance(error, KeyboardInterrupt):
        return Failure(plain_failure("interrupted"), INTERRUPTED)
    return _of_click(error) or _ours(error) or _host(error) or _bug(error, debug=debug)


def described(error: "BuildError | DockerfileError", *, logged: bool = False) -> Described:
    """Return the failure of a build to raise in place of *error*, with its span when *error* has the source.

    *logged* means that the log of the step was shown.
    """
    from pybuild.builder.display.failure import build_failure, language_failure, step_failure
    from pybuild.builder.errors import Cancelled, ResolveError, StepFailed
    from pybuild.grammar.errors import DockerfileError

    source = error.source
    if isinstance(error, StepFailed):
        return Described(Failure(step_failure(error, source, logged=logged), failed_code(error)))
    if isinstance(error, Cancelled) or source is None or error.span is None:
        return Described(describe(error))
    if isinstance(error, DockerfileError):
        return Described(Failure(language_failure(error, source), USAGE))
    code = USAGE if isinstance(error, ResolveError) else failed_code(error)
    return Described(Failure(build_failure(error, source), code))


def _of_click(error: BaseException) -> Failure | None:
    if "click" not in sys.modules:  # then it is none of its errors
        return None
    import click

    if isinstance(error, click.Abort):
        return Failure(plain_failure("interrupted"), INTERRUPTED)
    return _usage(error) if isinstance(error, click.ClickException) else None


def _usage(error: "click.ClickException") -> Failure:
    import click

    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see '{context.command_path} --help'" if context is not None else ""
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        near = _nearest_option(error)
        message, hint = error.message, f"did you mean {near}?" if near else hint
    if isinstance(error, click.MissingParameter) and error.param is not None and error.param.name == "context":
        hint = "end the command with the directory of the build context, such as: pybuild build -t NAME ."
    # click writes sentences. Our messages have no full stop and begin in lower case, as Go's do.
    message = message.rstrip(".")
    return Failure(plain_failure(message[:1].lower() + message[1:], hint), _usage_code(error, context))


def _usage_code(error: "click.ClickException", context: "click.Context | None") -> int:
    """Return the exit code of a wrong command line; for a command about containers, that of docker."""
    import click

    if context is None or not is_like_docker(context):
        return USAGE
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group without a command, which shows its help
        return DONE
    if error.exit_code != USAGE:
        return error.exit_code
    # As with docker, a wrong flag of "run" is told apart from exit codes of the command that was to run.
    of_flag = isinstance(error, click.BadParameter) and isinstance(error.param, click.Option)
    return RUN if of_flag or isinstance(error, click.NoSuchOption | click.BadOptionUsage) else FAILED


def is_like_docker(context: "click.Context") -> bool:
    """Return whether the command of *context* is one about containers, with docker's exit codes."""
    from pybuild.builder.cli.commands import COMMANDS

    words = context.command_path.split()[1:]
    module, _ = COMMANDS.get(" ".join(words)) or COMMANDS.get(words[0] if words else "") or ("", "")
    return module.startswith(_LIKE_DOCKER) or not _ALSO_OF_CONTAINERS.isdisjoint(words[:1])


def _nearest_option(error: "click.NoSuchOption") -> str:
    """Return the option most similar to the unknown one, else ""; one of a parent command has its name in front."""
    from pybuild.grammar.suggest import closest

    names: dict[str, str] = {}
    context = error.ctx
    while context is not None:
        before = "" if context is error.ctx else f"{context.command_path} "
        for parameter in context.command.get_params(context):
            for name in (*parameter.opts, *parameter.secondary_opts):
                names.setdefault(name, f"{before}{name}")
        context = context.parent
    word = error.option_name
    if not word.startswith("--"):
        return names.get(f"-{word}", "")  # not the closest one: any two letters are similar
    near = word if word in names else closest(word, names)
    # click's own list is sorted, its best first, and also has options that are farther away.
    return names[near] if near else next(iter(error.possibilities or ()), "")


def _ours(error: BaseException) -> Failure | None:
    from pybuild.builder.errors import BuildError, Cancelled, RequestError, ResolveError
    from pybuild.builder.oci.errors import OciError
    from pybuild.grammar.errors import DockerfileError
    from pybuild.grammar.reference import InvalidReference
    from pybuild.runtime.errors import RuntimeHostError

    message, hint = str(error), str(getattr(error, "hint", ""))
    if isinstance(error, Cancelled):
        return Failure(plain_failure("interrupted"), INTERRUPTED)
    if isinstance(error, RequestError | ResolveError | DockerfileError | InvalidReference):
        return Failure(plain_failure(message, hint), USAGE)
    if isinstance(error, BuildError | OciError):
        return Failure(plain_failure(message, hint), failed_code(error))
    return Failure(plain_failure(message, hint), HOST) if isinstance(error, RuntimeHostError) else None


def failed_code(error: BaseException) -> int:
    """Return the exit code of a failure that is not the user's; it tells which side failed."""
    from pybuild.builder.errors import LoadFailed, PullFailed, PushFailed, RequestError, StepFailed, StoreError
    from pybuild.builder.oci.errors import RegistryError
    from pybuild.builder.store.free_space import FULL
    from pybuild.runtime.errors import RuntimeHostError, TooManyLayers, UnknownUser, UnsafePathError

    if isinstance(error, PushFailed):
        return PUSH
    if isinstance(error, StoreError | LoadFailed) or isinstance(error.__cause__, StoreError):
        return HOST
    # A step has the exit code of its cause, such as a base that could not be pulled.
    why = error.__cause__ if isinstance(error, StepFailed) else error
    if isinstance(error.__cause__, RequestError):
        return USAGE
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in {*FULL, *_NOT_WRITABLE}:
        return HOST
    if isinstance(why, PullFailed | RegistryError):
        return PULL
    # Wrong paths, users and numbers of layers come from the Dockerfile or its images, not from the host.
    is_host = isinstance(why, RuntimeHostError | OSError) and not isinstance(
        why, UnsafePathError | UnknownUser | TooManyLayers
    )
    return HOST if is_host else FAILED


def _host(error: BaseException) -> Failure | None:
    if isinstance(error, BrokenPipeError):
        # A closed pipe: the reader of the output is gone, so there is nobody to report it to.
        return Failure("", FAILED)
    if isinstance(error, OSError):
        from pybuild.builder.errors import reason

        if error.errno == errno.ENOENT and error.filename is None and _is_nowhere():
            return Failure(plain_failure("the current directory no longer exists", "change to one that does"), HOST)
        return Failure(plain_failure(reason(error), _MORE_PROCESSES if error.errno == errno.EAGAIN else ""), HOST)
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return Failure(plain_failure("no thread can be started", _MORE_PROCESSES), HOST)
    return Failure(plain_failure("out of memory"), HOST) if isinstance(error, MemoryError) else None


def _is_nowhere() -> bool:
    """Return whether the working directory was removed: what resolves a relative path fails then, without a name."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _wants_traceback(text: str) -> bool:
    """Return whether PYBUILD_DEBUG is set. An invalid value counts as true: an error is being reported already."""
    try:
        return text != "" and parse_bool(text)
    except ValueError:
        return True


def _bug(error: BaseException, *, debug: bool) -> Failure:
    if debug or _wants_traceback(os.environ.get("PYBUILD_DEBUG", "")):
        import traceback

        return Failure(clean("".join(traceback.format_exception(error))), BUG)
    text = f"pybuild has a bug: {type(error).__name__}: {error}"
    return Failure(
        plain_failure(text, "please report it to pybuild's issue tracker, with the output of PYBUILD_DEBUG=1"), BUG
    )
