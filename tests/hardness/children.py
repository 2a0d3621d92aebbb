"""Work in a process of its own, that may be killed, run out of room or have fewer rights."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

EVENTS = (
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.listdir", "os.scandir", "os.utime",
    "os.symlink", "shutil.rmtree", "shutil.copytree", "shutil.copyfile", "ctypes.dlsym", "subprocess.Popen",
)  # fmt: skip
BYPASSES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root may use every file


class Ended(NamedTuple):
    """`status` is an exit status, or minus the signal that ended the process."""

    status: int
    text: str


def in_child(work: Callable[[], str], scratch: Path) -> Ended:
    """What `work` returns when it is done in a forked process, whose temporary files lie in `scratch`."""
    answer, question = os.pipe()
    child = os.fork()
    if not child:
        status = 70
        try:
            torch.set_num_threads(1)  # a pool of threads does not survive a fork
            tempfile.tempdir = str(scratch)
            os.write(question, work().encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(question)
    with open(answer) as text:
        said = text.read()
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said)


def events(work: Callable[[], object], scratch: Path) -> list[str]:
    """What `work` asks Python for of the file system, in order."""

    def noted() -> str:
        seen = []
        sys.addaudithook(lambda event, _: seen.append(event) if event in EVENTS else None)
        work()
        return " ".join(seen)

    return in_child(noted, scratch).text.split()


def killed(work: Callable[[], object], moment: int, scratch: Path) -> bool:
    """Does `work` in a process that is killed before event number `moment`; whether it came that far."""

    def up_to() -> str:
        left = [moment]

        def count(event: str, _: object) -> None:
            if event in EVENTS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        return ""

    ended = in_child(up_to, scratch)
    assert ended.status in (0, -signal.SIGKILL), ended
    return ended.status != 0


def limit_files(size: int) -> None:
    """Lets this process write no file beyond `size` bytes, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def give_up_rights() -> None:
    """Makes rights count for root as well."""
    if os.geteuid():
        return
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    library = ctypes.CDLL(None, use_errno=True)
    assert library.capget(header, data) == 0
    for capability in BYPASSES:
        data[0] &= ~(1 << capability)  # those in effect
        data[1] &= ~(1 << capability)  # and those that could be
    assert library.capset(header, data) == 0
