"""Runs a function in a child process, for what changes the whole process, such as its user or functions of `os`."""

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any


def returned(work: Callable[[], Any]) -> Any:
    """Return what *work* returns in a fork of this process; a failure inside fails here with its traceback."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code, result = 1, b""
        try:
            code, result = 0, pickle.dumps(work())
        except BaseException:
            result = traceback.format_exc().encode()
        finally:
            os.write(writer, result)
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as file:
        data = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, data.decode(errors="replace") or f"the process ended with {code}"
    return pickle.loads(data)
