"""Steps that are all about owners, for builds without real root: their layers must be those that root's builds make."""

import json

from tests.helpers.program import Program

FILES = {"t/a": "a", "t/b/c": "c", "s": "secret"}
"""What the context has beside the Dockerfile; ``s`` is the secret of that name."""

DOCKERFILE = """FROM small AS a
RUN mkdir -p /d/e && touch /d/f /d/e/g && ln -s f /d/l && mkfifo /d/p && chown -hR 5:6 /d && chown 7:8 /d/f && touch /d/r
RUN chmod 6755 /d/f && chown 9 /d/f && mknod /d/null c 1 3 && mknod /d/loop b 7 0 && chown :4 /d/null
FROM small
COPY --from=a /d /d
COPY --from=a --chown=11:12 /d /o
COPY --chown=alice t /t/
RUN cp -a /d /copied && tar -cf - -C / d | tar -xf - -C /tmp && mv /d/l /d/m && find /d /o /t -exec stat -c '%n %u %g %f' {} +
RUN mkdir /s && chgrp 50 /s && chmod 2775 /s && mkdir /s/a && touch /s/a/b && ln -s x /s/l && rm -r /o/e && chown -h 3:3 /o/l
RUN --mount=type=secret,id=s,uid=3,gid=4 --mount=type=cache,target=/c,uid=5 --mount=type=tmpfs,target=/m,size=1m \\
    --mount=type=bind,from=a,source=/d,target=/b \\
    chown 8 /m && stat -c '%n %u %g %s' /run/secrets/s /c /b/* > /seen && stat -c '%n %u %g' /m >> /seen
USER alice
WORKDIR /home/alice/new
RUN id > id && mkdir a && echo x > a/b && ln -s b a/l && touch /home/alice/mine && (chown 0 a 2>> id || true)
"""


def layers(program: Program) -> list[str]:
    """Return the diff IDs of the image ``built``."""
    return list(json.loads(program.run("inspect", "-f", "{{json .RootFS.Layers}}", "built").stdout))
