"""Hints for mistakes whose messages are Docker's and name none."""

FORMS = {
    "from": "FROM IMAGE, or FROM IMAGE AS NAME",
    "arg": "ARG NAME, or ARG NAME=DEFAULT",
    "onbuild": "ONBUILD and an instruction for the image that builds on this one",
    "run": "RUN COMMAND",
    "copy": "COPY SOURCE... DESTINATION",
    "add": "ADD SOURCE... DESTINATION",
    "workdir": "WORKDIR DIRECTORY",
    "env": "ENV NAME=VALUE",
    "label": "LABEL NAME=VALUE",
    "user": "USER NAME, or USER NAME:GROUP",
    "shell": 'SHELL ["PROGRAM", "ARGUMENT"]',
    "cmd": "CMD COMMAND",
    "entrypoint": "ENTRYPOINT COMMAND",
    "expose": "EXPOSE PORT, or EXPOSE PORT/PROTOCOL",
    "volume": "VOLUME DIRECTORY",
    "stopsignal": "STOPSIGNAL SIGNAL",
    "healthcheck": "HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE",
    "maintainer": "MAINTAINER NAME",
}
"""How each instruction is written, by its name in lower case."""

SUBSTITUTIONS = "${v} ${v:-word} ${v:+word} ${v:?text} ${v#pattern} ${v%pattern} ${v/pattern/text}"
TRIGGER = "a trigger is one instruction, and none of FROM, MAINTAINER and ONBUILD"
STAGE_NAME = "begin with a letter and go on with letters, digits, - _ and ."


def form(keyword: str) -> str:
    """Return the hint at how the instruction *keyword* (lower case) is written."""
    return f"write {FORMS[keyword]}"


def brace(escape: str) -> str:
    """Return the hint for a substitution that does not end, or has no name."""
    return f"write ${{name}}, or {escape}$ for a dollar sign"


def quote_mark(mark: str, escape: str) -> str:
    """Return the hint for a quotation *mark* that no other one follows."""
    return f"close it, or write {escape}{mark} for a quotation mark" if mark == '"' else "close it with another one"
