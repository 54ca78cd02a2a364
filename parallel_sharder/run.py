"""A run: what all steps of one conversion share, opened before the first and closed after the last.

The run's `dest` stays the same place when the process changes its directory. Errors and notices name paths as the
caller has typed them.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from parallel_sharder.engines import open_cluster, running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SharderError
from parallel_sharder.model import SetKind
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import CLUSTERS, Options

T = TypeVar("T")


class Run:
    """An open run: `options` with an absolute destination, the `engine` of this host, and the `monitor`.

    `writers` is the engine that writes shards: the same one, until `connect` has found a cluster. `notices` are the
    sentences that `noticed` was called with. `seconds` maps the name of each phase to how long it took.
    """

    def __init__(self, typed: Options, engine: Engine, monitor: Monitor, stack: ExitStack) -> None:
        self.options = typed.anchored()
        self.engine = self.writers = engine
        self.monitor = monitor
        self.notices: list[str] = []
        self.seconds: dict[str, float] = {}
        self._typed = typed
        self._stack = stack
        self._phase_started = time.monotonic()

    def settle(self, kind: SetKind) -> Options:
        """Give what the user has not chosen the values for a data set of this kind; return the run's options.

        Raises OptionsError for an option that is not for such a data set.
        """
        self.options = self.options.settled(kind)
        self._typed = self._typed.settled(kind)
        return self.options

    @property
    def settled(self) -> Options:
        """The options with paths as the caller has typed them."""
        return self._typed

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that is left when the run ends, in the reverse order; return what it yields."""
        return self._stack.enter_context(context)

    def connect(self) -> None:
        """Connect to the cluster, if the options name one. Nothing is submitted yet.

        Raises MissingPackageError or WorkerError if it cannot be used.
        """
        options = self.options
        if options.engine_name in CLUSTERS:
            cluster = open_cluster(
                options.engine_name, options.engine_address, options.workers, options.cpus_per_chunk or 1
            )
            self.writers = self.enter(cluster)
            for text in self.writers.news():
                self.noticed(text)

    def noticed(self, text: str) -> None:
        """Have the monitor show this at once; it will stand in the summary too."""
        self.notices.append(text)
        self.monitor.noticed(text)

    def ends_phase(self, name: str) -> None:
        """Note how long the phase took that ends now."""
        now = time.monotonic()
        self.seconds[name] = now - self._phase_started
        self._phase_started = now

    def as_typed(self, text: str) -> str:
        """Return the text with the paths of the destination as the caller has typed them."""
        before, after = (os.path.join(options.pattern.folder, "") for options in (self.options, self._typed))
        return re.sub(rf"(?<![^\s('\"]){re.escape(before)}", lambda _: after, text) if before != after else text


@contextlib.contextmanager
def opened(options: Options, monitor: Monitor | None, preload: str = "") -> Iterator[Run]:
    """Yield a run with an engine for the module `preload`; what stops it is a SharderError in the caller's words."""
    with (
        guarded(monitor) as monitor,
        running(options.host_workers, options.start_method, preload) as engine,
        ExitStack() as stack,
    ):
        run = Run(options, engine, monitor, stack)
        run.enter(_in_typed_words(run))
        try:
            yield run
        except KeyboardInterrupt as error:
            vars(error)["options"] = run.settled  # whoever says how to continue needs the place of the journal
            raise


@contextlib.contextmanager
def _in_typed_words(run: Run) -> Iterator[None]:
    try:
        yield
    except SharderError as error:
        error.args = tuple(run.as_typed(line) if isinstance(line, str) else line for line in error.args)
        raise
