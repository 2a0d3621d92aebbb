"""Which tests run which lines of the compiler, and how long each test takes: all of them run once, under a trace."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest

__all__ = ["Line", "Recorder", "Ran", "quickest"]

Line = tuple[str, int]  # a file's name, and a line


@dataclass
class Ran:
    """What one test runs, lines of fixtures that it shares with others included, and how long it takes by itself."""

    seconds: float = 0.0
    lines: set[Line] = field(default_factory=set)


@contextmanager
def traced(files: Mapping[str, str]) -> Iterator[Ran]:
    """What runs of some files meanwhile, by their names; one within another counts for itself alone."""
    found, before, start = Ran(), sys.gettrace(), time.process_time()

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        name = files.get(frame.f_code.co_filename)
        return None if name is None else line_of(name)

    def line_of(file: str) -> Callable[..., Any]:
        def line(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            found.lines.add((file, frame.f_lineno))
            return line

        return line

    sys.settrace(enter)
    threading.settrace(enter)
    try:
        yield found
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]  # None ends it
        found.seconds = time.process_time() - start


class Recorder:
    """A plugin of pytest; `tests` are what each test runs of some files, which are given with their names.

    `forget` is called before each, so that none is spared what another has made.
    """

    def __init__(self, files: Mapping[str, str], forget: Callable[[], None]):
        self.files, self.forget = files, forget
        self.tests: dict[str, Ran] = {}
        self.shared: dict[Any, Ran] = defaultdict(Ran)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.forget()
        with traced(self.files) as found:
            yield
        definitions = item._fixtureinfo.name2fixturedefs
        for definition in {one for name in definitions for one in definitions[name]} & self.shared.keys():
            found.lines |= self.shared[definition].lines
        self.tests[item.nodeid] = found

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            yield
            return
        with traced(self.files) as found:
            yield
        self.shared[fixturedef].lines |= found.lines


def quickest(tests: Mapping[str, Ran], lines: Collection[Line], most: float) -> list[str]:
    """The tests that run any of the lines, the quickest first, for as many seconds."""
    chosen, left = [], most
    for name in sorted(
        (name for name in tests if not tests[name].lines.isdisjoint(lines)), key=lambda n: tests[n].seconds
    ):
        left -= tests[name].seconds
        if left < 0 and chosen:
            break
        chosen.append(name)
    return chosen
