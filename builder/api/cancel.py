"""Cancelling an operation from another thread."""

import threading

from pybuild.builder.errors import Cancelled


class Cancel:
    """A token that ends the operations it is given to; it may be given to several, and is never reset.

    `cancel` may be called in any thread and in a signal handler. The operation stops the steps that run, waits for
    them, and raises `pybuild.errors.Cancelled` in its own thread. The store stays whole, and steps that were finished
    stay in the cache.

    In asyncio an operation runs in a thread, and the task that waits for it passes its own cancellation on:

        async def build(request: pybuild.Request, store: pybuild.Store) -> pybuild.Outcome:
            cancel = pybuild.Cancel()
            work = asyncio.create_task(asyncio.to_thread(pybuild.build, request, store, cancel=cancel))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                cancel.cancel()
                await asyncio.wait([work])
                raise
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set by `cancel`; other code may wait for it."""

    def cancel(self) -> None:
        """End what this token was given to; at once, or when it begins."""
        self.event.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self.event.is_set()

    def check(self) -> None:
        """Raise Cancelled when `cancel` was called."""
        if self.cancelled:
            raise Cancelled("cancelled")
