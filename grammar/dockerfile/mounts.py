"""``RUN --mount=``: one line of comma-separated values, ``key=value`` each.

Values without variables are checked here; a value with variables is checked by `settle` after it is expanded. Keys are
normalized to one spelling.
"""

import re
from collections.abc import Callable, Mapping

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import MountFlag, MountKind, Word
from pybuild.grammar.parse_go import parse_bool, parse_size, parse_uint32, quote
from pybuild.grammar.source import Span
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import replace

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_KEYS: tuple[str, ...] = (
    *("type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid"),
    *("src", "dst", "destination", "ro", "rw", "readwrite", "env"),
)
_BARE = ("readonly", "readwrite", "required")
_SHARING = ("shared", "private", "locked")
_OF_KIND: Mapping[str, tuple[MountKind, ...]] = {
    "required": (MountKind.SECRET, MountKind.SSH),
    "size": (MountKind.TMPFS,),
}
_OWNED = (MountKind.SECRET, MountKind.SSH, MountKind.CACHE)
# As encoding/csv of Go reads a field: in quotation marks, of which two are one, or without any.
_CSV_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|$)')


def read_mount(flag: Word) -> MountFlag:
    """Read the value of one ``--mount`` flag.

    Raises:
        DockerfileError: an unknown type or key, a malformed value, or conflicting keys.
    """
    # Of a key that is given twice the last value counts.
    fields = [_field(field, flag.span) for field in _split_csv(flag)]
    written_kind = next((value for key, value in reversed(fields) if key == "type"), MountKind.BIND.value)
    open_kind = "$" in written_kind
    options = {"type": Word(written_kind, flag.span)} if open_kind else {}
    for written, value in fields:
        key = _ALIASES.get(written, written)
        if key != "type" and (key, value) != ("from", ""):  # an empty from= counts as not given
            word = Word(_checked(written, value, flag.span), flag.span)
            options["readonly" if key == "readwrite" else key] = word
    mount = MountFlag(kind=MountKind.BIND, options=tuple(options.items()), span=flag.span)
    return mount if open_kind else _of_kind(mount, written_kind)


def settle(mount: MountFlag, expand: Callable[[Word], str]) -> MountFlag:
    """Return *mount* with its values expanded and normalized.

    Raises:
        DockerfileError: a value is invalid after its variables are expanded.
    """
    options = {key: Word(_value(key, expand(word), word.span, key), word.span) for key, word in mount.options}
    kind = options.pop("type", Word(mount.kind.value, mount.span))
    return _of_kind(replace(mount, options=tuple(options.items())), kind.text)


def _of_kind(mount: MountFlag, text: str) -> MountFlag:
    """Return *mount* with the type that *text* names. Raises DockerfileError when its keys do not fit."""
    kind = _kind(text, mount.span)
    for key, _ in mount.options:
        _check_kind(kind, key, mount.span)
    _check_together(kind, dict(mount.options), mount.span)
    return replace(mount, kind=kind)


def _field(field: str, span: Span) -> tuple[str, str]:
    key, equals, value = field.partition("=")
    key = key.lower()
    if key not in _KEYS and equals:
        raise DockerfileError(f"unexpected key '{key}' in '{field}'", span, did_you_mean(key, _KEYS))
    if not equals and _ALIASES.get(key, key) not in _BARE:
        raise DockerfileError(f"invalid field '{field}' must be a key=value pair", span)
    return key, value if equals else "true"


def _kind(text: str, span: Span) -> MountKind:
    kinds = [kind.value for kind in MountKind]
    if text.lower() not in kinds:
        raise DockerfileError(f"unsupported mount type {quote(text)}", span, did_you_mean(text, kinds))
    return MountKind(text.lower())


def _checked(written: str, value: str, span: Span) -> str:
    key = _ALIASES.get(written, written)
    if key == "readwrite":
        return "false" if _boolean(written, value, span) else "true"
    return value if "$" in value else _value(key, value, span, written)


def _check_kind(kind: MountKind, key: str, span: Span) -> None:
    if kind not in _OF_KIND.get(key, (kind,)):
        raise DockerfileError(f"unexpected key '{key}' for mount type '{kind.value}'", span)
    if key in {"mode", "uid", "gid"} and kind not in _OWNED:
        raise DockerfileError(f'{key} not allowed for "{kind.value}" type mounts', span)
    if key == "source" and kind is MountKind.SSH:
        raise DockerfileError("ssh does not support source", span)
    if key == "from" and kind is MountKind.SECRET:
        raise DockerfileError("secret mount should not have a from", span)
    if key == "sharing" and kind is MountKind.SECRET:
        raise DockerfileError("secret mount should not define sharing", span)
    if key == "sharing" and kind is not MountKind.CACHE:
        raise DockerfileError(f"invalid cache sharing set for {kind.value} mount", span)


def _value(key: str, value: str, span: Span, written: str) -> str:
    """Return *value* normalized: booleans as true or false, sizes in bytes; *written* is the key as given."""
    if key in {"readonly", "required"}:
        return "true" if _boolean(written, value, span) else "false"
    if key == "sharing":
        return _sharing(value, span)
    if key in {"mode", "uid", "gid"}:
        return _number(key, value, span)
    if key == "size":
        return _size(value, span)
    return value


def _boolean(key: str, value: str, span: Span) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        raise DockerfileError(f"invalid value for {key}: {value}", span) from None


def _sharing(value: str, span: Span) -> str:
    if value.lower() not in _SHARING:
        raise DockerfileError(f"unsupported sharing value {quote(value)}", span, did_you_mean(value, _SHARING))
    return value.lower()


def _number(key: str, value: str, span: Span) -> str:
    try:
        parse_uint32(value, 8 if key == "mode" else 10)
    except ValueError:
        raise DockerfileError(f"invalid value {value} for {key}", span) from None
    return value


def _size(value: str, span: Span) -> str:
    try:
        return str(parse_size(value))
    except ValueError:
        raise DockerfileError(f"invalid value for size: {value}", span) from None


def _check_together(kind: MountKind, options: Mapping[str, Word], span: Span) -> None:
    if kind is not MountKind.SECRET:
        return
    given = {key for key, word in options.items() if word.text}
    if not given & {"source", "target", "id"}:
        raise DockerfileError("invalid secret mount. one of source, target required", span)
    if {"source", "id"} <= given:
        raise DockerfileError("both source and id can't be set", span)


def _split_csv(flag: Word) -> list[str]:
    """Split at commas outside double quotes; a doubled quote inside quotes is one."""
    fields: list[str] = []
    position, comma = 0, ","
    while comma:
        match = _CSV_FIELD.match(flag.text, position)
        if match is None:
            raise DockerfileError('failed to parse csv mounts: extraneous or missing " in a field', flag.span)
        quoted, plain, comma = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        position = match.end()
    return fields
