"""Results of parts of an experiment in a file, so that one that was interrupted goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Kept"]


class Kept:
    """A line for each part, written when it is done. Parts are those of one `experiment`, told by all that makes it.

    Without a path nothing outlasts the process.
    """

    def __init__(self, path: Path | None, experiment: str):
        self.path, self.experiment = path, experiment

    def known(self, part: str) -> Any | None:
        """What was added for a part, None where nothing was."""
        lines = self.path.read_text().splitlines() if self.path is not None and self.path.exists() else []
        rows = [json.loads(line) for line in lines]
        same = [row["result"] for row in rows if (row["experiment"], row["part"]) == (self.experiment, part)]
        return same[-1] if same else None

    def add(self, part: str, result: Any) -> Any:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a") as file:
                file.write(json.dumps({"experiment": self.experiment, "part": part, "result": result}) + "\n")
        return result

    def forget(self) -> None:
        """Called when the whole is written elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
