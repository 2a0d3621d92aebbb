"""The process in which an emitted package is verified, as seen from the compiler."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.scratch import scratch, unwritable_scratch
from hypergen_compiler.verification.worker import Unwritable, save

__all__ = ["VerificationProcess", "WorkerFailure"]


class WorkerFailure(Exception):
    """The package raised an exception; the message is its last lines."""


class VerificationProcess:
    """A fresh Python that starts importing torch at once, so that the compiler can work meanwhile.

    Raises HG507, here and in every call, where the temporary folder cannot hold what the two exchange.

    Use it in a `with` statement: it ends with it, whatever happens. Inside, torch uses half of its threads here, and
    the process the other half: threads that wait for a core are slower than none.
    """

    def __init__(self):
        self.scratch = ExitStack()
        self.folder = self.scratch.enter_context(scratch("verify"))
        self.messages = self.folder / "stderr.txt"
        with self.messages.open("w") as messages:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-B",
                    str(Path(__file__).with_name("worker.py")),
                ],  # -B: no __pycache__ in packages
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                cwd=self.folder,
                text=True,
            )

    def __enter__(self) -> VerificationProcess:
        self.threads = torch.get_num_threads()
        torch.set_num_threads(max(1, self.threads // 2))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.set_num_threads(self.threads)
        self.process.kill()
        self.process.communicate()
        self.scratch.close()

    def load(self, folder: Path, name: str) -> None:
        """Imports the package `folder` under `name`. Raises HG602 if that fails."""
        self.send({"do": "import", "folder": str(folder.resolve()), "name": name})
        try:
            self.receive()
        except WorkerFailure as failure:
            raise HyperGenError(
                "HG602",
                f"the package does not import: {failure}",
                remedy="Undo the last edit of its files. If nobody edited them, this is a bug of HyperGen: report it.",
            ) from None

    def hold(self, parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> None:
        """The weights and buffers of the calls that follow. Raises WorkerFailure."""
        parameters = {name: parameter.detach() for name, parameter in parameters.items()}
        weights = {"parameters": parameters, "buffers": buffers, "threads": torch.get_num_threads()}
        self.send({"do": "weights", "file": self.put(weights)})
        self.receive()

    def initial(self) -> dict[str, dict[str, torch.Tensor]]:
        """The package's own starting weights and buffers. Raises WorkerFailure."""
        self.send({"do": "initial", "answer": str(self.folder / "answer.pt")})
        return self.answer()

    def together(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, Any]:
        """One pass over several datasets and one each (see `together`). Raises WorkerFailure."""
        self.send({"do": "together", "file": self.put({"inputs": inputs}), "answer": str(self.folder / "answer.pt")})
        return self.answer()

    def run(self, entry: str, inputs: tuple[Any, ...], training: bool, seed: int) -> None:
        """Starts a call of an entry point; `answer` waits for what came of it."""
        request = {"entry": entry, "inputs": inputs, "training": training, "seed": seed}
        self.send({"do": "run", "file": self.put(request), "answer": str(self.folder / "answer.pt")})

    def answer(self) -> dict[str, Any]:
        """The result of the last call. Raises WorkerFailure."""
        self.receive()
        return torch.load(self.folder / "answer.pt", weights_only=True)

    def put(self, content: dict[str, Any]) -> str:
        file = str(self.folder / "request.pt")
        try:
            save(content, file)
        except Unwritable as error:
            raise unwritable_scratch(error) from error
        return file

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):  # `receive` says why the process is gone
            print(json.dumps(message), file=self.process.stdin, flush=True)

    def receive(self) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            lines = self.messages.read_text(errors="replace").strip().splitlines()
            raise WorkerFailure("the process ended" + "".join("\n" + line for line in lines[-6:]))
        answer = json.loads(line)
        if "unwritable" in answer:
            raise unwritable_scratch(Unwritable(answer["unwritable"]))
        if error := answer.get("error"):
            raise WorkerFailure(error.strip())
