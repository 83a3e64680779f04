"""`text("wikipedia")`, `text("enwik8")`: a file byte by byte, as streams that are cut into segments.

The task of Enwik8 (Hutter prize; Spieler, Martius & Levina 2026): the next byte is told from those before it. Each part of the
file is cut into streams that run side by side, each stream into segments that follow each other: trial i is segment
i // streams of stream i % streams, so consecutive batches of `streams` trials go on where the last one ended.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.dataset import Array, Dataset, DatasetEntry, Field, Places, Split
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec_sequences import errors
from cortexspec_sequences.views import OneHot

EMBEDDED = Path(__file__).parent / "data" / "wikipedia.xml.bz2"
PARTS = ("train", "valid", "test")
_OPEN = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
_BLANK = ord(" ")
_LOWER = np.full(256, _BLANK, np.uint8)
_LOWER[ord("a") : ord("z") + 1] = _LOWER[ord("A") : ord("Z") + 1] = np.arange(ord("a"), ord("z") + 1)


def raw_bytes(name: str, places: Places) -> bytes:
    """A file's bytes, unpacked where its name ends in .gz, .bz2 or .xz; `wikipedia` is the embedded sample.

    Raises: SpecError CS901, CS911.
    """
    if name == "wikipedia":
        return bz2.decompress(EMBEDDED.read_bytes())
    path = errors.found(name, places, "name the folder that holds it with `--data`, or take the embedded `wikipedia`")
    unpack = _OPEN.get(path.suffix)
    try:
        return path.read_bytes() if unpack is None else unpack(path.read_bytes())
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise errors.malformed(path, str(error)) from None


def letters(raw: bytes) -> bytes:
    """Letters in lower case, every run of anything else one blank: 27 symbols (the convention of text8, Mahoney 2006).

    Digits become blanks here.
    """
    folded = _LOWER[np.frombuffer(raw, np.uint8)]
    blank = folded == _BLANK
    return folded[~(blank & np.concatenate([[False], blank[:-1]]))].tobytes()


def parts_of(raw: bytes, shares: tuple[float, ...]) -> dict[str, bytes]:
    """The file cut into `train`, `valid` and `test` by their shares."""
    ends = np.floor(np.cumsum(shares) / sum(shares) * len(raw)).astype(int)
    return {name: raw[start:end] for name, start, end in zip(PARTS, [0, *ends[:-1]], ends, strict=True)}


def coded(raw: bytes, alphabet: bytes) -> Array:
    """Each byte's place in the alphabet. Raises: SpecError CS909 for the first byte that is not in it."""
    table = np.full(256, -1, np.int64)
    table[np.frombuffer(alphabet, np.uint8)] = np.arange(len(alphabet))
    values = np.frombuffer(raw, np.uint8)
    places = table[values]
    if (places < 0).any():
        at = int(np.argmax(places < 0))
        byte = bytes([values[at]])
        shown = f"`{byte.decode()}`" if byte.isascii() and byte.decode().isprintable() else f"0x{values[at]:02x}"
        raise errors.unknown_symbol(
            f"byte {at:,} of the text is {shown}, which is not among the {len(alphabet)} symbols of `alphabet`",
            "leave `alphabet` out: it is then every byte that occurs",
        )
    return places.astype(np.uint8)


def segments(codes: Array, streams: int, length: int, what: str) -> tuple[Array, Array]:
    """Symbols and the ones after them, both [segment and stream, time]. Raises: SpecError CS908 where not one segment fits."""
    each = (len(codes) - 1) // streams
    count = each // length
    if count < 1:
        raise errors.too_short(
            f"a segment is {length:,} symbols long, and each of the {streams} streams of the {what} part has {max(each, 0):,}",
            "shorter segments, fewer streams, or a longer text",
        )

    def cut(first: int) -> Array:
        whole = codes[first : first + each * streams].reshape(streams, each)[:, : count * length]
        return whole.reshape(streams, count, length).transpose(1, 0, 2).reshape(count * streams, length)

    return cut(0), cut(1)


def load_text(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
    """Fields `x` [trial, time, symbol], one-hot times `scale`, and `next` [trial, time], the symbol that follows.

    Raises: SpecError CS901, CS911 for the file, CS505 for a setting, CS908 for segments that do not fit, CS909 for a symbol.
    """
    name = str(positional[0]) if positional else "wikipedia"
    shares, part = tuple(settings["split"]), str(settings["held_out"])
    if len(shares) != len(PARTS) or min(shares) < 0 or shares[0] <= 0:
        message = f"`split` of `text` has the shares of {', '.join(PARTS)}: three numbers, the first above 0"
        raise SpecError([Diagnostic("CS505", message)])
    if part not in PARTS[1:]:
        raise SpecError([Diagnostic("CS505", f'`held_out` of `text` is "valid" or "test", not "{part}"')])
    streams, length = (errors.whole(settings, one, 1, "text") for one in ("streams", "segment"))
    raw = raw_bytes(name, places)
    if settings["letters"]:
        raw = letters(raw)
    alphabet = str(settings["alphabet"]).encode() or bytes(np.unique(np.frombuffer(raw, np.uint8)))
    if len(set(alphabet)) != len(alphabet):
        raise SpecError([Diagnostic("CS505", "`alphabet` of `text` names a symbol twice")])
    cut = parts_of(raw, shares)
    made: dict[str, Split] = {}
    fingerprint = sha256(repr((alphabet, streams, length, float(settings["scale"]))).encode())
    for split in ("train", part):
        now, following = segments(coded(cut[split], alphabet), streams, length, split)
        fingerprint.update(now.tobytes() + following.tobytes())
        x = Field(OneHot(now, len(alphabet), float(settings["scale"])), ("trial", "time"))
        made[split] = Split({"x": x, "next": Field(following.astype(np.int64), ("trial", "time"))})
    sizes = " + ".join(f"{one.fields['next'].array.size:,}" for one in made.values())
    which = "the embedded sample of Wikipedia" if name == "wikipedia" else f"`{name}`"
    note = f"{sizes} bytes of {which}{', letters alone' if settings['letters'] else ''}, {len(alphabet)} symbols"
    return Dataset("text", made["train"], made[part], fingerprint.hexdigest(), note, length, streams)


_TIME = Axis("time", Size.symbol("time"), "time")
TEXT = DatasetEntry(
    "text",
    MappingProxyType(
        {
            "split": (90, 5, 5),
            "streams": 8,
            "segment": 100,
            "scale": 1,
            "letters": False,
            "alphabet": "",
            "held_out": "test",
        }
    ),
    "A file byte by byte, in streams of segments: x one-hot, next the byte that follows",
    MappingProxyType({"next": Type((_TIME,), "int")}),
    load=load_text,
)
