"""``--change``: single instructions of a Dockerfile applied to the config of an image that is not built."""

from collections.abc import Iterable
from dataclasses import replace

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.request import Planning
from pybuild.builder.stages.instructions import Surroundings, apply
from pybuild.builder.stages.stages import Input
from pybuild.builder.stages.state import StageState
from pybuild.grammar import nodes
from pybuild.grammar.dockerfile.parser import parse_change
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span

_ESCAPE = "\\"
_NOT_CONFIG = nodes.From | nodes.Arg | nodes.Run | nodes.Copy | nodes.Add | nodes.Maintainer


def changed(config: ImageConfig, changes: Iterable[str]) -> ImageConfig:
    """Return *config* after *changes*; its history stays as it is. Raises RequestError."""
    state = StageState(config, _ESCAPE)
    for change in changes:
        _apply(change, state)
    return replace(config, config=state.finished().config)


def _apply(change: str, state: StageState) -> None:
    try:
        node = parse_change(change, Span(0, len(change)), _ESCAPE)
    except DockerfileError as error:
        raise RequestError(f"--change {change!r}: {error.message}", hint=error.hint) from error
    if isinstance(node, _NOT_CONFIG):
        raise RequestError(f"--change {change!r}: only instructions that change the config can be given")
    around = Surroundings(
        planning=Planning(),
        globals={},
        build_args={},
        input=_no_input,
        prefix=str,
        lines=lambda _node: (0, 0),
    )
    apply(node, state, around)


def _no_input(word: nodes.Word | None) -> Input:
    raise RequestError(f"--change: {word.text if word else 'the build context'!r} cannot be used here")
