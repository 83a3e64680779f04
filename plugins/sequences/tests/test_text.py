"""Text byte by byte: what a trial is, in which order trials follow each other, and what is wrong."""

import bz2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cortexspec_sequences.text import TEXT, letters

from cortexspec.contracts.dataset import Dataset, Places
from cortexspec.diagnostics import SpecError

ROSES = b"Rose is a rose is a rose is a rose. " * 100


def loaded(folder: Path, name: str = "a.txt", **settings: Any) -> Dataset:
    return TEXT.load((name,), {**TEXT.settings, **settings}, Places(folder))


def test_segments_of_a_stream_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(ROSES)
    data = loaded(tmp_path, split=(80, 10, 10), streams=4, segment=50, scale=3)
    symbols = np.array(sorted(set(ROSES)))
    codes = data.train.fields["x"].array.places
    each = (int(0.8 * len(ROSES)) - 1) // 4
    for stream in range(4):
        text = symbols[np.concatenate(codes[stream :: data.streams])].astype(np.uint8).tobytes()
        assert text == ROSES[stream * each :][: len(text)]
    following = data.train.fields["next"].array
    assert np.array_equal(codes[:, 1:], following[:, :-1])
    assert np.array_equal(codes[4:8, 0], following[0:4, -1])
    assert (data.length, data.streams, len(data.train) % 4) == (50, 4, 0)


def test_a_batch_is_one_hot_times_its_scale(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(ROSES)
    data = loaded(tmp_path, segment=10, scale=3)
    x, codes = data.train.batch(np.array([3, 1]))["x"], data.train.fields["x"].array.places
    assert x.array.shape == (2, 10, len(set(ROSES))) and x.axes == ("trial", "time")
    assert np.array_equal(x.array.argmax(-1), codes[[3, 1]]) and set(np.unique(x.array)) == {0, 3}


def test_letters_are_lower_case_with_single_blanks() -> None:
    assert letters(b"[[Rose]] is\n 2 a ROSE") == b" rose is a rose"


def test_the_embedded_sample_and_packed_files(tmp_path: Path) -> None:
    data = TEXT.load((), TEXT.settings, Places())
    assert data.train.fields["x"].array.shape[-1] == 180 and "embedded sample of Wikipedia" in data.note
    (tmp_path / "a.txt.bz2").write_bytes(bz2.compress(ROSES))
    (tmp_path / "a.txt").write_bytes(ROSES)
    assert loaded(tmp_path, "a.txt.bz2", segment=5).fingerprint == loaded(tmp_path, segment=5).fingerprint


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"segment": 1000}, "CS908", "each of the 8 streams of the train part has 404"),
        ({"segment": 20, "alphabet": "aeiors ."}, "CS909", "byte 0 of the text is `R`"),
        ({"split": (1, 1)}, "CS505", "three numbers"),
        ({"held_out": "train"}, "CS505", '"valid" or "test"'),
        ({"streams": 2.5}, "CS505", "`streams` of `text` is a whole number"),
        ({"alphabet": "aa"}, "CS505", "names a symbol twice"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, settings: dict[str, Any], code: str, said: str) -> None:
    (tmp_path / "a.txt").write_bytes(ROSES)
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, **settings)
    assert caught.value.diagnostics[0].code == code and said in caught.value.diagnostics[0].message


def test_files_that_are_not_there_or_not_packed(tmp_path: Path) -> None:
    (tmp_path / "a.bz2").write_bytes(ROSES)
    for name, code in (("b.txt", "CS901"), ("../a.txt", "CS901"), ("a.bz2", "CS911")):
        with pytest.raises(SpecError) as caught:
            loaded(tmp_path, name)
        assert caught.value.diagnostics[0].code == code
