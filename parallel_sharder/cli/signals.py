"""Signals: the first SIGINT, SIGTERM or SIGHUP ends a command in an orderly way, and a second one ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallel_sharder.options import Options


class InterruptedBySignal(KeyboardInterrupt):
    """The signal that stopped the run; `options` are those of a conversion, once it is known what it converts."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)
        self.options: Options | None = None


@contextlib.contextmanager
def raising_signals() -> Iterator[None]:
    """Let a first SIGINT, SIGTERM or SIGHUP in the block raise InterruptedBySignal, and a second one end the process.

    A signal that was ignored before stays ignored. The former handlers are set again after the block.
    """
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        if caught:
            os._exit(128 + number)  # workers notice it and end too; each file with its final name is whole
        caught.append(number)
        raise InterruptedBySignal(number)

    # nohup, and shells for background processes, want that ignored signals stay ignored.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
