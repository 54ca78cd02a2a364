"""Signals: SIGINT, SIGTERM and SIGHUP end a command in an orderly way, a second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


class InterruptedBySignal(KeyboardInterrupt):
    """The signal that stopped the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def raising_signals() -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP raises InterruptedBySignal, and a second one ends the process at once."""
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        if caught:
            os._exit(128 + number)  # workers notice and follow; no file has its final name before it is whole
        caught.append(number)
        raise InterruptedBySignal(number)

    # One that is ignored stays ignored: so nohup, and shells for what they start in the background, want it.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
