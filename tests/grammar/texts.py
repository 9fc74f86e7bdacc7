"""Random Dockerfiles and words, made of the parts that mean something."""

from hypothesis import strategies as st

_NAMES = [
    *("FROM", "from", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "ONBUILD", "ONBUILD RUN", "ONBUILD COPY", "SHELL"),
    *("CMD", "ENTRYPOINT", "EXPOSE", "VOLUME", "USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER", "HEALTHCHECK", "FOO", ""),
]
_PARTS = [
    *(" ", " ", " ", "\t", "\\", "`", "\\\n", "\\\n\n# c\n", "'", '"', "<<EOF", "<<-'E'", "<<", "3<<X", "$", "${", "}"),
    *(":-", "$A", "${A#b}", "=", ",", '["a"', ', "b"]', "[", "]", "{", "1", "--", "--from=", "--mount=", "type=cache"),
    *(
        "target=/x",
        "--link",
        " AS x",
        "a",
        "b/c",
        "é",
        "\ud800",
        "\x1c",
        "\u2028",
        "\x0b",
        "NONE",
        "CMD",
        "k=v",
        "\\u0041",
    ),
]
_ENDS = ["\n", "\n", "\n", "\r\n", "\nEOF\n", "\n\tE\n", "\nX\n", "\n# c\n", "\n\n", ""]

_instructions = st.tuples(
    st.sampled_from(_NAMES), st.lists(st.sampled_from(_PARTS), max_size=8), st.sampled_from(_ENDS)
).map(lambda found: f"{found[0]} {''.join(found[1])}{found[2]}")

dockerfiles = st.tuples(
    st.sampled_from(["", "\ufeff", "# escape=`\n", "# syntax=x\n# check=y\n", "#!x\n", "\0"]),
    st.lists(_instructions, max_size=6),
).map(lambda found: f"{found[0]}FROM a\n{''.join(found[1])}")

words = st.lists(
    st.sampled_from([*"ab$$$${}{}'\"\\`:-+?#%/*?", "${a", "${b:-", "${c#", "${d//", "1", " ", "é", "\n"]), max_size=25
).map("".join)
