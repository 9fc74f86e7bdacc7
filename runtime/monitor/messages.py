"""What a monitor and its clients say to each other over a Unix socket that keeps messages apart.

The first byte of a message is its kind, the rest what it carries.
"""

SOCKET = "socket"
"""The name of the socket in the directory of a container."""
PIECE = 1 << 16
"""The most bytes of input or output in one message."""

ATTACH, INPUT, END_INPUT, SIZE = b"a", b"i", b"c", b"r"
"""A client is shown the output from now on, what it types, that it types no more, "ROWS COLUMNS" of its window."""
SIGNAL, STOP, FREEZE, THAW, NAME, UPDATE = b"k", b"h", b"p", b"u", b"n", b"l"
"""A number of a signal for the process; the same, and the container is not to be started again; pause and unpause; the
new name of the container; its new restart policy, "MOST POLICY"."""
WAIT, EXECUTE, REMOVES = b"w", b"x", b"m"
"""Report the end; fork a process into the container (five descriptors come along); I remove the container myself."""

STARTED, REFUSED, ENDED = b"s", b"f", b"e"
"""The process runs; it cannot be started: "CODE reason"; it ended: "CODE"."""
OUT, ERR = b"1", b"2"
"""What the process printed."""
DONE, FAILED = b"+", b"-"
"""Answers to the messages from SIGNAL to UPDATE; the second with a reason."""
