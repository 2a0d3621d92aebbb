"""What HyperGen wrote: a package's texts and manifest at the moment of writing, kept beside it in an archive.

A later HyperGen may no longer write the same, so that the common base of the user's edits and its new output cannot be
compiled again. `hypergen.base.tar.bz2` holds it instead: every text, some tens of kilobytes. `tensors.pt`, which nobody
merges, is only known by its digest.
"""

from __future__ import annotations

import bz2
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.publishing.manifest import BASE, MANIFEST, digest, manifest_text

__all__ = ["Pristine", "is_text", "known_record", "read_record", "with_record"]


@dataclass(frozen=True)
class Pristine:
    """A package as HyperGen wrote it. `contents` holds what is known of it, `digests` every file's SHA-256.

    `archived` tells whether the archive was there and sound; without it, files that nobody edited are known all the
    same, and the others only by their digests.
    """

    manifest: Mapping[str, Any]
    digests: Mapping[str, str]
    contents: Mapping[str, bytes]
    archived: bool


def with_record(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """A package's files, its manifest and the archive of its texts."""
    whole = {**files, MANIFEST: manifest_text(manifest)}
    return {**whole, BASE: pack({path: content for path, content in whole.items() if is_text(content)})}


def read_record(manifest: Mapping[str, Any], disk: Mapping[str, bytes]) -> Pristine:
    """What HyperGen wrote, from the archive among the files of a folder or, if that was damaged, from the manifest."""
    texts = unpacked(disk.get(BASE))
    archived = texts is not None
    if texts is not None:
        manifest = json.loads(texts[MANIFEST])
    digests = {**manifest["files"], MANIFEST: digest(manifest_text(manifest))}
    unedited = {path: disk[path] for path, known in digests.items() if path in disk and digest(disk[path]) == known}
    if archived:
        digests[BASE] = digest(disk[BASE])
    return Pristine(manifest, digests, {**unedited, **(texts or {})}, archived)


def known_record(manifest: Mapping[str, Any], disk: Mapping[str, bytes]) -> Pristine:
    """`read_record`, where the archive is needed. Raises HG505 if it is lost."""
    pristine = read_record(manifest, disk)
    if not pristine.archived:
        raise HyperGenError(
            "HG505",
            f"{BASE} is missing or damaged, and with it what HyperGen wrote",
            remedy="Restore it, as from version control, or compile the package again into another folder.",
        )
    return pristine


def is_text(content: bytes) -> bool:
    try:
        return "\x00" not in content.decode()
    except UnicodeDecodeError:
        return False


def pack(texts: Mapping[str, bytes]) -> bytes:
    return bz2.compress(tar(texts))


def tar(texts: Mapping[str, bytes]) -> bytes:
    """A tar archive, equal for equal texts: no time, no owner."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(texts.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def unpacked(packed: bytes | None) -> dict[str, bytes] | None:
    """The texts of an archive, None if it is not one that `with_record` made."""
    if packed is None:
        return None
    try:
        stream = bz2.BZ2Decompressor()
        content = stream.decompress(packed)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            texts = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}
        known = json.loads(texts[MANIFEST])["files"]
        sound = all(known[path] == digest(text) for path, text in texts.items() if path != MANIFEST)
    except (OSError, ValueError, EOFError, KeyError, TypeError, tarfile.TarError):
        return None
    return texts if sound and tar(texts) == content and not stream.unused_data else None
