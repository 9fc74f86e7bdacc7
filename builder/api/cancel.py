"""Cancelling an operation from another thread."""

import threading

from pybuild.builder.errors import Cancelled


class Cancel:
    """A token that cancels the operations that it is passed to. It may be passed to several, and is never reset.

    `cancel` may be called in any thread and in a signal handler. The operation stops running steps, waits for them, and
    raises `pybuild.errors.Cancelled` in its own thread. The store stays consistent, and finished steps stay in the
    cache.

    In asyncio, run the operation in a thread, and let the task that waits for it pass its cancellation on:

        async def build(request: pybuild.Request, store: pybuild.Store) -> pybuild.Outcome:
            cancel = pybuild.Cancel()
            work = asyncio.create_task(asyncio.to_thread(pybuild.build, request, store, cancel=cancel))
            try:
                await asyncio.wait([work])  # unlike an await of the task, it does not cancel it
            except asyncio.CancelledError:
                cancel.cancel()
                await asyncio.wait([work])
                work.exception()  # Cancelled; asyncio reports one that nobody has looked at
                raise
            return work.result()
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set by `cancel`; other code may wait for it."""

    def cancel(self) -> None:
        """Cancel the operations with this token, now or when they start."""
        self.event.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self.event.is_set()

    def check(self) -> None:
        """Raise Cancelled when `cancel` was called."""
        if self.cancelled:
            raise Cancelled("cancelled")
