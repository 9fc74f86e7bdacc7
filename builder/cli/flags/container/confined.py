"""Flags about what the processes of a container may do. Raises RequestError."""

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.grammar.golang import parse_bool
from pybuild.runtime.values import frozen


@frozen
class ConfinedFlags:
    """What they may do."""

    group_add: tuple[str, ...] = option(
        "--group-add", multiple=True, metavar="GROUP", help="Name or GID of a group to join as well; repeatable."
    )
    cap_add: tuple[str, ...] = option(
        "--cap-add", multiple=True, metavar="CAPABILITY", help="Give it a capability, or ALL; repeatable."
    )
    cap_drop: tuple[str, ...] = option(
        "--cap-drop", multiple=True, metavar="CAPABILITY", help="Take a capability away, or ALL; repeatable."
    )
    security_opts: tuple[str, ...] = option(
        "--security-opt", multiple=True, metavar="OPTION", help="Security option: no-new-privileges."
    )
    read_only: bool = option(
        "--read-only", is_flag=True, help="Make the root read-only, but not the volumes and tmpfs in it."
    )


def no_new_privileges(given: tuple[str, ...]) -> bool:
    """Return what ``--security-opt`` says of it; other options are refused."""
    found = False
    for text in given:
        name, _, value = text.replace(":", "=", 1).partition("=")
        if name != "no-new-privileges":
            raise RequestError(f"--security-opt {text} is not supported", hint="there is no-new-privileges")
        try:
            found = parse_bool(value or "true")
        except ValueError as error:
            raise RequestError(f'invalid --security-opt 2: "{text}"', hint="write it as no-new-privileges") from error
    return found
