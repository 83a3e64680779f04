"""Spoken digits: the files' format, bins, sums of two; and that the shipped set is what the synthesiser makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cortexspec_sequences.cochlea import Ear
from cortexspec_sequences.shd import SHD, SHD_ADDING, recordings
from cortexspec_sequences.spoken import RATE, WORDS, Speaker, spoken

from cortexspec.contracts.dataset import Places
from cortexspec.diagnostics import SpecError


def write(path: Path, labels: list[int], leave_out: str = "", units: int = 700) -> None:
    """Recording i fires at 3 ms in channel i, at 999 ms in the last channel, and at 1.2 s in none that counts."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        ragged = h5py.vlen_dtype(np.float64)
        times = file.create_dataset("spikes/times", (len(labels),), dtype=ragged)
        kept = file.create_dataset("spikes/units", (len(labels),), dtype=h5py.vlen_dtype(np.int64))
        for i in range(len(labels)):
            times[i], kept[i] = [0.003, 0.999, 1.2], [i, units - 1, i]
        file["labels"] = labels
        if leave_out:
            del file[leave_out]


def files(folder: Path, **settings: Any) -> Places:
    write(folder / "shd_train.h5", [3, 14, 9], **settings)
    write(folder / "shd_test.h5", [0, 19])
    return Places(None, folder)


def test_a_file_of_shd_is_binned(tmp_path: Path) -> None:
    data = SHD.load((), SHD.settings, files(tmp_path))
    x = data.train.take(np.array([1]))["x"]
    assert x.shape == (1, 500, 700) and data.length == 500
    assert np.argwhere(x[0]).tolist() == [[1, 1], [499, 699]]
    assert data.train.fields["label"].array.tolist() == [3, 14, 9]


def test_sums_of_two_digits_follow_the_seed_and_what_is_held_out_does_not(tmp_path: Path) -> None:
    places, settings = files(tmp_path), {**SHD_ADDING.settings, "bin": 10, "trials": 200, "held_out": 50}
    one, same, two = (SHD_ADDING.load((), {**settings, "seed": seed}, places) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != two.fingerprint and one.length == 200
    labels = [each.train.fields["label"].array for each in (one, two)]
    assert not np.array_equal(*labels)
    assert set(labels[0]) == {6, 7, 8, 12, 13, 18}  # 3, 4 and 9 of the two languages
    held = [each.test.take(np.arange(50)) for each in (one, two)]
    assert np.array_equal(held[0]["x"], held[1]["x"]) and set(held[0]["label"]) == {0, 9, 18}
    x, label = one.train.take(np.array([7]))["x"][0], labels[0][7]
    digits = [3, 4, 9]
    first, second = (int(np.flatnonzero(x[start])[0]) for start in (0, 100))
    assert digits[first] + digits[second] == label


@pytest.mark.parametrize(
    ("change", "settings", "code", "said"),
    [
        ({"leave_out": "spikes/units"}, {}, "CS906", "`shd_train.h5` has no `spikes/units`"),
        ({"units": 701}, {}, "CS911", "it has the unit 700, and there are 700"),
        ({}, {"bin": 3}, "CS505", "is no whole number of bins of 3 ms"),
        ({}, {"bin": 0}, "CS505", "is no whole number of bins"),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        SHD.load((), {**SHD.settings, **settings}, files(tmp_path, **change))
    assert caught.value.diagnostics[0].code == code and said in caught.value.diagnostics[0].message


def test_files_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    for content, code in ((None, "CS901"), (b"not HDF5", "CS911")):
        if content is not None:
            (tmp_path / "shd_train.h5").write_bytes(content)
        with pytest.raises(SpecError) as caught:
            SHD.load((), SHD.settings, Places(None, tmp_path))
        assert caught.value.diagnostics[0].code == code


def test_the_shipped_digits_are_labelled_synthetic_and_split_by_speaker() -> None:
    data = SHD.load(("synthetic",), {"bin": 20, "duration": 700}, Places())
    assert "SYNTHETIC" in data.note and (len(data.train), len(data.test)) == (32 * len(WORDS), 8 * len(WORDS))
    x = data.test.take(np.arange(40))["x"]
    assert x.shape == (40, 35, 70) and (x.sum((1, 2)) > 20).all()


def test_words_differ_more_than_voices() -> None:
    """Nearest mean of each word over the training voices names most held-out words: there is something to learn."""
    found = recordings("synthetic", Places())
    x, label = {}, {}
    for which, one in found.items():
        x[which] = one.binned(np.arange(len(one)), 50, 14).reshape(len(one), -1)
        label[which] = one.labels
    means = np.stack([x["train"][label["train"] == word].mean(0) for word in range(20)])
    nearest = ((x["test"][:, None] - means) ** 2).sum(-1).argmin(1)
    assert 0.4 < (nearest == label["test"]).mean() < 1


def test_a_tone_moves_the_channel_of_its_frequency() -> None:
    ear = Ear()
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE // 4) / RATE)
    loudest = ear.envelopes(tone, RATE).mean(1).argmax()
    assert abs(ear.centres[loudest] / 1000 - 1) < 0.05
    times, units = ear.spikes(tone, RATE)
    assert (np.diff(times[units == loudest]) >= ear.refractory - 1e-9).all()


def test_a_word_is_the_same_for_the_same_draws() -> None:
    first, second = (spoken("s I - k s", Speaker(120, 1, 1, 0.05), np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second) and np.isfinite(first).all() and len(first) > 0.2 * RATE
