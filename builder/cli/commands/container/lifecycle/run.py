"""``pybuild run`` with a container: it is created, started, and shown or left running."""

from typing import Protocol

from pybuild.builder.cli.commands.container.access.foreground import Foreground, start_in_foreground
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.commands.container.lifecycle.create import created
from pybuild.builder.cli.commands.container.lifecycle.start import begin
from pybuild.builder.cli.failures import FAILED, Described, Failure, describe
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.attachment import DETACH_KEYS, parse_keys
from pybuild.builder.containers.lifecycle import remove
from pybuild.builder.errors import BuildError, RequestError
from pybuild.runtime.errors import RuntimeHostError


class Showing(Protocol):
    """The flags about the foreground and the background."""

    @property
    def detach(self) -> bool:
        """Whether it runs in the background."""
        ...

    @property
    def attach(self) -> tuple[str, ...]:
        """The streams that are shown; () means the default."""
        ...

    @property
    def sig_proxy(self) -> bool:
        """Whether signals are passed on."""
        ...

    @property
    def detach_keys(self) -> str | None:
        """The keys that detach from it."""
        ...


def run_container(
    image: str, words: tuple[str, ...], flags: ContainerFlags, showing: Showing, *, platform: str | None
) -> int:
    """Run a container, and return its exit code; 0 when it is left running."""
    if showing.detach and showing.attach:
        error = RequestError("conflicting options: -a and -d")
        raise Described(Failure(describe(error).text, FAILED)) from error  # docker's code, which is not that of "run"
    keys = parse_keys(showing.detach_keys) if showing.detach_keys else DETACH_KEYS
    typed = flags.program.interactive and not showing.detach and (not showing.attach or "stdin" in showing.attach)
    streams = () if showing.detach else showing.attach or ("stdout", "stderr")
    attached = tuple(dict.fromkeys((*(("stdin",) if typed else ()), *streams)))
    with opened_containers() as containers:
        container = created(containers, flags.request(image, words, attached), flags, platform)
        if not showing.detach:
            shown = frozenset(number for number, name in ((1, "stdout"), (2, "stderr")) if name in attached)
            foreground = Foreground(typed=typed, keys=keys, shown=shown, relayed=showing.sig_proxy)
            return start_in_foreground(containers, container, foreground)
        try:
            begin(containers, container)
        except (BuildError, RuntimeHostError):
            if container.config.host.auto_remove:
                remove(containers, container, volumes=True)
            raise
        finally:
            say(container.id)
        return 0
