"""A host with an internet of its own, for as long as a command runs: ``python small_internet.py COMMAND [ARGUMENT...]``.

The command runs in a network namespace with one address and a default route. Outside, 198.51.100.1 and 2001:db8::1
serve a file of one line on port 8000. A name server listens on the loopback interface, as systemd-resolved does: every
name is 198.51.100.1 and 2001:db8::1. Another server on the loopback, port 7000, and an abstract socket ``canary`` are
what no private network may reach. /dev/net/tun is open to everybody, as udev makes it.
"""

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ME = Path(__file__)
OUTSIDE, INSIDE = "198.51.100.1", "198.51.100.2"
LOOPBACK_PORT = 7000


def words(*command: str) -> list[str]:
    """The words that run *command* there; root alone can."""
    return ["unshare", "--net", "--mount", "--propagation=private", sys.executable, os.fspath(_ME), *command]


class _Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"hello from {self.server.server_address[0]!s}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _serve(server: ThreadingHTTPServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _answers(listener: socket.socket) -> None:
    """Answer DNS: any A or AAAA question has the address outside."""
    while True:
        query, client = listener.recvfrom(512)
        end = query.index(0, 12)
        kind = int.from_bytes(query[end + 1 : end + 3], "big")
        packed = {1: socket.inet_aton(OUTSIDE), 28: socket.inet_pton(socket.AF_INET6, "2001:db8::1")}.get(kind)
        head = query[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if packed else b"\0\0") + b"\0\0\0\0" + query[12 : end + 5]
        record = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\x01\0\0\0\x3c" + len(packed or b"").to_bytes(2, "big")
        listener.sendto(head + (record + packed if packed else b""), client)


def _ip(*arguments: str, pid: int | None = None) -> None:
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    subprocess.run([*enter, "ip", *arguments], check=True)


def _outside() -> int:
    """Start the process outside and return its id; it says when it has a namespace of its own."""
    ready, said = os.pipe()
    go, begin = os.pipe()
    child = os.fork()
    if child:
        os.read(ready, 1)
        _ip("link", "add", "wan", "type", "veth", "peer", "name", "out", "netns", str(child))
        for words_ in ("link set lo up", f"addr add {OUTSIDE}/24 dev out", "link set out up"):
            _ip(*words_.split(), pid=child)
        _ip("addr", "add", "2001:db8::1/64", "dev", "out", "nodad", pid=child)
        os.write(begin, b"x")
        os.read(ready, 1)
        return child
    _leave_network()
    os.write(said, b"x")
    os.read(go, 1)
    _serve(ThreadingHTTPServer((OUTSIDE, 8000), _Greeting))
    _serve(_Server6(("2001:db8::1", 8000), _Greeting))
    os.write(said, b"x")
    threading.Event().wait()
    return 0


def _leave_network() -> None:
    """Leave the network namespace (os.unshare is newer than the Pythons that tests run on)."""
    from pybuild.runtime.kernel import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNET)
    syscalls.prctl(1, 9)


def main(command: list[str]) -> int:
    """Set everything up, run *command*, and return its exit code."""
    outside = _outside()
    for line in (
        "link set lo up",
        f"addr add {INSIDE}/24 dev wan",
        "link set wan up",
        f"route add default via {OUTSIDE}",
    ):
        _ip(*line.split())
    _ip("addr", "add", "2001:db8::2/64", "dev", "wan", "nodad")
    _ip("-6", "route", "add", "default", "via", "2001:db8::1")
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.53", 53))
    threading.Thread(target=_answers, args=(names,), daemon=True).start()
    _serve(ThreadingHTTPServer(("127.0.0.1", LOOPBACK_PORT), _Greeting))
    with socket.socket(socket.AF_UNIX) as canary:
        canary.bind("\0canary")
        canary.listen()
        for line in (
            "mount -t tmpfs none /dev/net",
            "mknod -m 666 /dev/net/tun c 10 200",
        ):
            subprocess.run(line.split(), check=True)
        resolv_conf = Path("/dev/net/resolv.conf")
        resolv_conf.write_text("search example\nnameserver 127.0.0.53\noptions timeout:3\n")
        subprocess.run(["mount", "--bind", resolv_conf, Path("/etc/resolv.conf").resolve()], check=True)
        try:
            return subprocess.run(command, check=False).returncode
        finally:
            os.kill(outside, 9)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
