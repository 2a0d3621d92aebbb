"""Results of long experiments, kept as they come, so that an interrupted run goes on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Parts"]


@dataclass(frozen=True)
class Parts:
    """Named results in a folder, or nowhere. Those of other settings than `key` are not found."""

    folder: Path | None
    key: dict[str, Any]

    def find(self, name: str) -> Any:
        """The result, or None."""
        if self.folder is None or not (self.folder / f"{name}.json").is_file():
            return None
        content = json.loads((self.folder / f"{name}.json").read_text())
        return content["result"] if content["key"] == json.loads(json.dumps(self.key)) else None

    def keep(self, name: str, result: Any) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self.folder / f"{name}.tmp"
            temporary.write_text(json.dumps({"key": self.key, "result": result}))
            os.replace(temporary, self.folder / f"{name}.json")
