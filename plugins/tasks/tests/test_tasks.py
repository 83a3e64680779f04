"""The trials of the tasks: timing, values, how many there are, and what the best observer makes of them."""

from typing import Any

import numpy as np
import pytest
from cortexspec_tasks import DATASETS
from cortexspec_tasks.adding import VARIANCE
from cortexspec_tasks.one_choice import DIRECTIONS, GOALS, TRIALS
from cortexspec_tasks.perceptual import ideal_observer

from cortexspec.contracts.dataset import Dataset, Places
from cortexspec.diagnostics import SpecError

ENTRIES = {entry.name: entry for entry in DATASETS}


def made(name: str, seed: int = 1, **settings: Any) -> Dataset:
    return ENTRIES[name].load((), {"seed": seed, **ENTRIES[name].settings, **settings}, Places())


def arrays(dataset: Dataset, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    fields = getattr(dataset, split).fields
    return fields["x"].array, fields["target" if "target" in fields else "label"].array


@pytest.mark.parametrize(
    ("name", "length", "channels"), [("one_choice", 50, 8), ("go_nogo", 40, 3), ("perceptual_decision", 41, 3)]
)
def test_sizes_are_forty_batches_of_128_and_half_of_that_held_out(name: str, length: int, channels: int) -> None:
    dataset = made(name)
    for split, trials in (("train", 40 * 128), ("test", 2560)):
        x, label = arrays(dataset, split)
        assert x.shape == (trials, length, channels) and x.dtype == np.float32
        assert label.shape == (trials,) and label.dtype == np.int64
    assert dataset.length == length


@pytest.mark.parametrize("name", ENTRIES)
def test_trials_follow_from_the_seed_and_from_nothing_else(name: str) -> None:
    one, again, other = made(name), made(name), made(name, seed=2)
    assert one.fingerprint == again.fingerprint != other.fingerprint
    shorter = made(name, trials=100)
    for long, short in zip(arrays(one), arrays(shorter), strict=True):
        assert np.array_equal(long[:100], short)
    assert not np.array_equal(arrays(one)[1][:2560], arrays(one, "test")[1])


def test_one_choice_has_eight_trials_and_each_is_as_long_shown() -> None:
    x, label = arrays(made("one_choice"))
    distinct, which, counts = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    assert len(distinct) == 8 and all(len(set(label[which == k])) == 1 for k in range(8))
    assert np.abs(counts - 640).max() < 4 * np.sqrt(640 * 7 / 8)
    assert np.array_equal(distinct[:, :20].sum(axis=2), np.ones((8, 20)))
    assert not distinct[:, :20, 4:].any() and not distinct[:, 20:30].any() and not distinct[:, 30:, :4].any()
    assert np.array_equal(distinct[:, 30:].sum(axis=2), np.full((8, 20), 2))
    assert np.array_equal(distinct[:, :20], np.repeat(distinct[:, :1], 20, axis=1))
    assert np.array_equal(distinct[:, 30:], np.repeat(distinct[:, 30:31], 20, axis=1))


def test_the_answer_of_one_choice_is_the_one_option_that_leads_to_the_goal() -> None:
    x, label = arrays(made("one_choice", trials=200))
    for trial, answer in zip(x, label, strict=True):
        goal = GOALS[int(trial[0, :4].argmax())]
        offered = [DIRECTIONS[place] for place in np.flatnonzero(trial[-1, 4:])]
        assert [one for one in offered if one in goal.split()] == [DIRECTIONS[answer]]


def test_the_options_alone_give_five_of_eight() -> None:
    """The best guess without the goal, 0.625, is where the weak variants of the paper are."""
    answers: dict[tuple[str, ...], list[str]] = {}
    for _, options, answer in TRIALS:
        answers.setdefault(options, []).append(answer)
    assert sum(max(found.count(one) for one in found) for found in answers.values()) == 5


def test_go_nogo_has_two_trials_and_says_nothing_at_the_end() -> None:
    x, label = arrays(made("go_nogo"))
    assert len(np.unique(x, axis=0)) == 2
    assert np.array_equal(x[:, :, 0], np.tile(np.r_[np.ones(5), np.zeros(20), np.ones(10), np.zeros(5)], (5120, 1)))
    for answer, channel in ((0, 1), (1, 2)):
        cue = np.zeros((40, 2))
        cue[5:25, channel - 1] = 1
        assert np.array_equal(x[label == answer][:, :, 1:], np.broadcast_to(cue, (np.sum(label == answer), 40, 2)))
    assert abs(label.mean() - 0.5) < 4 * 0.5 / np.sqrt(5120)


def test_perceptual_means_and_noise_are_those_of_the_coherences() -> None:
    x, label = arrays(made("perceptual_decision", coherences=(25.6,)))
    assert np.array_equal(x[:, :, 0], np.ones((5120, 41)))
    assert not x[:, 0, 1:].any() and not x[:, 31:, 1:].any()
    shown = x[:, 1:31, 1:].astype(float)
    for answer in (0, 1):
        own = shown[label == answer]
        error = 4 * 0.1 / np.sqrt(own[..., 0].size)
        assert own[..., answer].mean() == pytest.approx(0.5 + 0.128, abs=error)
        assert own[..., 1 - answer].mean() == pytest.approx(0.5 - 0.128, abs=error)
    noise = shown - np.where(np.arange(2) == label[:, None], 0.628, 0.372)[:, None]
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    flat = noise.reshape(5120, -1)
    assert abs(np.corrcoef(flat[:, 0], flat[:, 1])[0, 1]) < 4 / np.sqrt(5120)
    assert abs(np.corrcoef(flat[:, 0], flat[:, 2])[0, 1]) < 4 / np.sqrt(5120)


def test_coherences_are_equally_frequent() -> None:
    x, label = arrays(made("perceptual_decision", noise=0.0))
    means = x[:, 1, 1:].astype(float)
    coherence = 200 * (means[np.arange(5120), label] - 0.5)
    found, counts = np.unique(np.round(coherence, 3), return_counts=True)
    assert found.tolist() == [0, 6.4, 12.8, 25.6, 51.2]
    assert np.abs(counts - 1024).max() < 4 * np.sqrt(1024 * 0.8)


def test_the_best_observer_is_right_as_often_as_the_formula_says() -> None:
    assert ideal_observer() == pytest.approx(0.8987, abs=5e-5)
    assert ideal_observer(input_noise=0.05) == pytest.approx(0.8973, abs=5e-5)
    x, label = arrays(made("perceptual_decision", trials=40000, held_out=1))
    evidence = x[:, :, 2].sum(axis=1) - x[:, :, 1].sum(axis=1)
    right = np.mean((evidence > 0) == label)
    assert right == pytest.approx(ideal_observer(), abs=4 * np.sqrt(0.09 / 40000))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("go_nogo", {"silence": -1}),
        ("go_nogo", {"trials": 0}),
        ("go_nogo", {"stimulus": 2.5}),
        ("one_choice", {"seed": 0.5}),
        ("perceptual_decision", {"coherences": ()}),
        ("perceptual_decision", {"coherences": (120.0,)}),
        ("perceptual_decision", {"noise": -0.1}),
    ],
)
def test_settings_that_do_not_fit_are_told(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        made(name, **settings)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS505" and f"`{next(iter(settings))}` of `{name}`" in diagnostic.message


def test_adding_marks_a_number_in_either_half_and_wants_their_sum() -> None:
    x, target = arrays(made("adding", length=11))
    assert x.shape == (5120, 11, 2) and target.shape == (5120,)
    assert np.array_equal(x[:, :5, 1].sum(axis=1), np.ones(5120))
    assert np.array_equal(x[:, 5:, 1].sum(axis=1), np.ones(5120))
    assert (x[:, :, 1].mean(axis=0)[5:] > 0.13).all()
    assert np.allclose(target, (x[:, :, 0] * x[:, :, 1]).sum(axis=1))
    assert abs(np.mean((target - 1) ** 2) - VARIANCE) < 0.01
    assert 0 < x[:, :, 0].min() < 0.001 and 0.999 < x[:, :, 0].max() < 1
