"""The messages between a monitor and its clients, over a Unix socket of type SOCK_SEQPACKET, which keeps them apart.

The first byte of a message is its kind, the rest its content. Numbers are decimal.
"""

SOCKET = "socket"
"""The name of the socket in the directory of a container."""
PIECE = 1 << 16
"""The most bytes of input or output in one message."""

ATTACH, INPUT, END_INPUT, SIZE = b"a", b"i", b"c", b"r"
"""Of a client that shows a container: send the output from now on, "i" if there will be input; a piece of input; the
end of the input; the size of its terminal, "ROWS COLUMNS"."""
SIGNAL, STOP, FREEZE, THAW, NAME, UPDATE = b"k", b"h", b"p", b"u", b"n", b"l"
"""Send the first process a signal, given by its number; the same, and do not start the container again; pause; unpause;
the container has a new name; it has a new restart policy, "MOST POLICY". Each is answered by DONE or FAILED."""
WAIT, EXECUTE, TIDIES, HOLD = b"w", b"x", b"m", b"y"
"""Report the end, as to all clients; fork a process into the container, with the five descriptors that come along, and
answer with its pidfd; the client, if it is still connected at the end, does then what the monitor would have a command
do: it removes the container, or takes down its networks; do not start the container again while the client is
connected."""

STARTED, REFUSED, ENDED = b"s", b"f", b"e"
"""From the monitor: the program was executed; it cannot be, "CODE reason"; the process ended, "CODE"."""
OUT, ERR = b"1", b"2"
"""What the process printed on standard output, and on standard error."""
DONE, FAILED = b"+", b"-"
"""A request was carried out; it could not be, with the reason."""
