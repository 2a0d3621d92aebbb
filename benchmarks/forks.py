"""Runs functions in forks of this process, which cost little where much is in memory already."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Sequence

__all__ = ["FAILED", "PROCESSES", "forked"]

PROCESSES = 3
FAILED = 1


def forked(jobs: Sequence[Callable[[], int]], longest: int | None = None) -> Iterator[int]:
    """What functions give in forks of this process, a few at a time, in order.

    A fork is ended behind `longest` seconds of a processor, where they are given.
    """
    running: dict[int, int] = {}
    codes: dict[int, int] = {}
    started = 0
    for number in range(len(jobs)):
        while number not in codes:
            while started < len(jobs) and len(running) < PROCESSES:
                running[fork(jobs[started], longest)] = started
                started += 1
            child, status = os.wait()
            codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
        yield codes.pop(number)


def fork(job: Callable[[], int], longest: int | None) -> int:
    """Starts a fork, which says nothing."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    if longest is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (longest, longest))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    try:
        os._exit(job())
    except BaseException:
        os._exit(FAILED)
