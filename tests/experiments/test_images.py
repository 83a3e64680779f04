"""Data sets: the embedded digits, IDX files at a path, CIFAR-10 in both layouts, and what is wrong with a file."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from cortexspec.contracts.dataset import Places
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.idx import read_idx
from cortexspec.experiments.images import EMBEDDED, load_images


def test_the_embedded_digits_are_balanced_and_standardized():
    digits = load_images(("mnist",), {"standardize": True}, Places())
    assert (len(digits.train), len(digits.test)) == (6000, 1000)
    for split, count in ((digits.train, 600), (digits.test, 100)):
        assert np.bincount(split.fields["label"].array).tolist() == [count] * 10
    images = digits.train.fields["image"].array
    assert images.shape == (6000, 1, 28, 28) and images.dtype == np.float32
    assert abs(images.mean()) < 1e-6 and abs(images.std() - 1) < 1e-6
    assert digits.fingerprint != load_images(("mnist",), {}, Places()).fingerprint


def test_a_data_folder_wins_over_the_embedded_digits(tmp_path: Path):
    (tmp_path / "mnist").mkdir()
    pictures = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for split in ("train", "t10k"):
        write_idx(tmp_path / "mnist" / f"{split}-images-idx3-ubyte", pictures)
        write_idx(tmp_path / "mnist" / f"{split}-labels-idx1-ubyte", np.array([7, 1], np.uint8))
    digits = load_images(("mnist",), {}, Places(data=tmp_path))
    assert np.array_equal(digits.test.fields["image"].array[:, 0] * 255, pictures)
    assert digits.train.fields["label"].array.tolist() == [7, 1]


def test_an_experiment_may_insist_on_the_whole_set():
    with pytest.raises(SpecError) as caught:
        load_images(("mnist",), {"embedded": False}, Places())
    assert caught.value.diagnostics[0].code == "CS901"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"hello", "does not begin with an IDX magic number"),
        (struct.pack(">II", 0x0D01, 1) + bytes(4), "0x0d"),
        (struct.pack(">I", 0x0803) + bytes(4), "ends within its header"),
        (struct.pack(">II", 0x0801, 10) + bytes(9), "promises 18 bytes, it has 17"),
        (gzip.compress(bytes(100))[:-20], "gzip stream is broken"),
    ],
)
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, content: bytes, why: str):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_idx(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS911" and why in diagnostic.message and str(path) in diagnostic.message


def test_a_missing_set_says_how_to_get_it():
    with pytest.raises(SpecError) as caught:
        load_images(("cifar10",), {}, Places())
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS901" and "--data" in diagnostic.help
    with pytest.raises(SpecError) as caught:
        load_images(("imagenet",), {}, Places())
    assert caught.value.diagnostics[0].code == "CS912"


def test_both_layouts_of_cifar10_give_the_same_pictures(tmp_path: Path):
    from PIL import Image

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, 6, dtype=np.uint8)
    binary, png = tmp_path / "binary", tmp_path / "png" / "cifar10"
    binary.mkdir()
    png.mkdir(parents=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for name, picture, label in zip(names, pictures, labels, strict=True):
        (binary / f"{name}.bin").write_bytes(bytes([label]) + picture.tobytes())
        Image.fromarray(picture.transpose(1, 2, 0).reshape(1, 1024, 3)).save(png / f"{name}.png")
    (png / "train_lables.json").write_text(json.dumps(labels[:5].tolist()))
    (png / "test_lables.json").write_text(json.dumps(labels[5:].tolist()))
    a, b = (load_images(("cifar10",), {}, Places(data=folder)) for folder in (binary, tmp_path / "png"))
    for split in ("train", "test"):
        for field in ("image", "label"):
            assert np.array_equal(getattr(a, split).fields[field].array, getattr(b, split).fields[field].array)
    assert a.fingerprint == b.fingerprint


def test_the_embedded_files_have_their_notice():
    assert "CC BY-SA" in (EMBEDDED / "mnist" / "NOTICE.md").read_text("utf-8")


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())
