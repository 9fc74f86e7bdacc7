"""Cancelling from another thread, and from a task of asyncio as the docstring has it."""

import asyncio
import gc
import re
import textwrap
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import pybuild
from pybuild import errors


def recipe(build: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the docstring, around *build*."""
    text = re.split(r"\n\n(?= +async)", pybuild.Cancel.__doc__ or "")[1]
    names: dict[str, Any] = {"asyncio": asyncio, "pybuild": SimpleNamespace(**vars(pybuild))}
    names["pybuild"].Request = names["pybuild"].Store = names["pybuild"].Outcome = object
    names["pybuild"].Cancel, names["pybuild"].build = pybuild.Cancel, build
    exec(textwrap.dedent(text), names)
    made: Callable[..., Any] = names["build"]
    return made


def test_the_recipe_for_asyncio_returns_what_the_build_returns() -> None:
    assert asyncio.run(recipe(lambda *given, cancel: (given, cancel.cancelled))(1, 2)) == ((1, 2), False)


def test_the_recipe_for_asyncio_cancels_the_build_and_waits_for_its_end() -> None:
    begun, ended, reported = threading.Event(), threading.Event(), []

    def held(*_given: object, cancel: pybuild.Cancel) -> None:
        begun.set()
        cancel.event.wait()
        ended.set()
        cancel.check()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        task = asyncio.create_task(recipe(held)(None, None))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())
    gc.collect()
    assert reported == []


def test_a_token_is_cancelled_once_and_for_all() -> None:
    cancel = pybuild.Cancel()
    cancel.check()
    threading.Thread(target=cancel.cancel).start()
    cancel.event.wait()
    assert cancel.cancelled
    with pytest.raises(errors.Cancelled):
        cancel.check()
