"""Measures that are gathered along a run, by entries that remember what they were shown."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.analysis.library import Brought
from cortexspec.contracts.measure import MeasureEntry
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.runtime import measure, plugins
from cortexspec.testing.spiking import lif

TEXT = """
use watching

neuron noisy {
  param τ = 10 ms
  noise ξ
  input I : mV
  state v ~ normal(0 mV, 1 mV)
  τ*v' = I - v + 1 mV*(2*τ)^(1/2)*ξ
  output v
}

neuron counter {
  input z : mV
  state n = 0
  state held = 0 mV
  n <- n + bernoulli(sigmoid(z/(1 mV)))
  held <- z
  output n
}

circuit pair {
  input drive : mV = 1 mV
  population a[4] : noisy
  population b[3] : counter
  connect a -> a { weight = 0.2 }
  connect drive -> a
  connect a -> b { weight = 0.1 }
}

experiment long of pair {
  simulate { duration = 50 ms; dt = 0.5 ms; solver = euler_maruyama; warm_up = 5 ms; trials = 3 }
  let both = kept(b.n, a.v/(1 mV))
  measure first = kept(b.n, a.v/(1 mV))
  measure twice = both + first
  measure activity = mean(a.v)
  measure spread = std(a.v, over = [time])/activity
  vary { seed = 1..2 }
  claim "grows" from "here": twice > first
}
"""


class Kept:
    """Everything that it was shown. Its result is each trial's last value of the first element."""

    made: ClassVar["list[Kept]"] = []

    def __init__(self, trials: int, elements: Any, settings: Any):
        self.trials, self.elements, self.settings = trials, tuple(elements), dict(settings)
        self.shown: list[list[np.ndarray]] = []
        Kept.made.append(self)

    def update(self, pieces: Any) -> None:
        self.shown.append([np.array(piece) for piece in pieces])

    def result(self) -> np.ndarray:
        return self.whole(0)[:, -1, 0]

    def whole(self, argument: int) -> np.ndarray:
        return np.concatenate([pieces[argument] for pieces in self.shown], axis=1)


class Pooled(Kept):
    """One number for all trials."""

    def result(self) -> np.ndarray:
        return np.array(float(self.whole(0).mean()))


class Spelt(Kept):
    """Reads words where it is given some."""

    def result(self) -> np.ndarray:
        return self.whole(0).reshape(self.trials, -1)[:, -1].astype(float)


def refuse(trials: int, elements: Any, settings: Any) -> Kept:
    raise SpecError([Diagnostic("CS931", f"{trials} x {elements[0]} are too many")])


ENTRIES = (
    MeasureEntry("kept", Kept, (1, 2), {"lag": 1, "how": "so", "yes": False}),
    MeasureEntry("pooled", Pooled),
    MeasureEntry("refusing", refuse),
    MeasureEntry("spelt", Spelt, (1, 2), words=True),
)


@pytest.fixture(autouse=True)
def _watching(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin, without a distribution."""
    Kept.made.clear()
    found = plugins.Found((Brought("watching", (), ENTRIES, "1"),))
    monkeypatch.setattr("cortexspec.runtime.api.plugins_of", lambda specs: found)
    monkeypatch.setattr("cortexspec.runtime.read.plugins_of", lambda specs: found)


def compiled(backend: str = "interpreter", text: str = TEXT, **settings: Any) -> cs.Simulation:
    given = {"dt": "0.5 ms", "duration": "50 ms", "solver": "euler_maruyama", "dtype": "float64", "seed": 3, **settings}
    return cs.compile(cs.parse(text), "pair", backend=backend, **given)


@pytest.mark.parametrize(
    ("backend", "longest", "steps", "pieces"),
    [
        ("interpreter", 4096, 100, 10),  # of 10 steps: as long as the warm-up
        ("interpreter", 1, 20, 20),
        ("interpreter", 7, 103, 15),  # and 5 left over: more programs, fewer calls
        ("torch", 7, 103, 15),
        ("jax", 7, 103, 15),
    ],
)
def test_pieces_are_the_run_however_it_is_cut(
    backend: str, longest: int, steps: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"torch": "torch.nn"}.get(backend, "numpy" if backend == "interpreter" else backend))
    monkeypatch.setattr(measure, "_LONGEST", longest)
    monkeypatch.setattr(measure, "_OF_A_PROGRAM", 1000 if longest > steps else 1)
    sim = compiled(backend)
    asked = {"n": "kept(b.n)", "v": "kept(a.v/(1 mV), a.v[a = 1..2]/(1 mV))", "mean": "mean(a.v)"}
    found = sim.measure(asked, duration=steps * 0.5, trials=3, warm_up="5 ms", first_trial=2)
    whole = sim.simulate(duration=5 + steps * 0.5, record=["a.v", "b.n"], trials=3, first_trial=2)
    n, v = np.asarray(whole["b.n"])[:, 10:], np.asarray(whole["a.v"])[:, 10:]
    shown = {one.elements: one for one in Kept.made}
    assert set(shown) == {(3,), (4, 2)} and len(shown[(3,)].shown) == pieces
    assert (shown[(3,)].whole(0) == n).all()
    np.testing.assert_allclose(shown[(4, 2)].whole(0), v, rtol=1e-12)
    np.testing.assert_allclose(shown[(4, 2)].whole(1), v[..., 1:3], rtol=1e-12)
    assert found["n"] == pytest.approx(n[:, -1, 0].mean()) and found["mean"] == pytest.approx(v.mean(), rel=1e-12)


def test_a_call_is_gathered_once_and_what_is_left_is_an_expression() -> None:
    sim = compiled()
    lets = {"once": "kept(b.n)"}
    asked = {
        "double": "2*once + kept(b.n)",
        "all": "mean([pooled(b.n), kept(b.n)])",
        "again": "double - 1",
        "plain": "b.n",
        "third": "plain/3",
    }
    found = sim.measure(asked, trials=2, lets=lets)
    kept, _ = Kept.made
    last, mean = kept.whole(0)[:, -1, 0].mean(), kept.whole(0).mean()
    assert found["double"] == pytest.approx(3 * last) and found["again"] == pytest.approx(3 * last - 1)
    assert found["all"] == pytest.approx((last + mean) / 2)
    assert found["plain"] == pytest.approx(mean) and found["third"] == pytest.approx(mean / 3)


def test_what_reads_time_otherwise_reads_the_run_after_the_warm_up() -> None:
    sim = compiled()
    asked = {"end": "mean(b.n[time = end])", "spread": "std(b.n, over = [time])", "n": "kept(b.n)", "x": "mean(b.n)/2"}
    found = sim.measure(asked, trials=2, warm_up="5 ms")
    n = np.asarray(sim.simulate(duration="55 ms", record=["b.n"], trials=2)["b.n"])[:, 10:]
    assert found["end"] == pytest.approx(n[:, -1].mean()) and found["x"] == pytest.approx(n.mean() / 2)
    assert found["spread"] == pytest.approx(n.std(axis=1).mean())


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_what_reads_the_end_alone_costs_the_last_piece_again_and_no_more(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"torch": "torch.nn"}.get(backend, "numpy" if backend == "interpreter" else backend))
    monkeypatch.setattr(measure, "_LONGEST", 20)
    gone: list[tuple[str, int]] = []
    call = measure._Run.call

    def told(run: Any, loaded: Any, function: str, more: Any, done: int = 0, count: int = 0) -> Any:
        gone.append((function, count))
        return call(run, loaded, function, more, done, count)

    monkeypatch.setattr(measure._Run, "call", told)
    sim = compiled(backend)
    asked = {
        "end": "std(b.n[time = end])",
        "of let": "last/(2 mV) + k",
        "of a sum": "mean((a.v + a.v)[time = end])/(1 mV)",
        "x": "mean(b.n)",
    }
    found = sim.measure(asked, trials=2, warm_up="5 ms", lets={"last": "max(a.v[time = end])", "k": "kept(b.n)"})
    whole = sim.simulate(duration="55 ms", record=["b.n", "a.v"], trials=2)
    n, v = np.asarray(whole["b.n"])[:, 10:], np.asarray(whole["a.v"])[:, 10:]
    assert found["end"] == pytest.approx(n[:, -1].std()) and found["x"] == pytest.approx(n.mean())
    assert found["of let"] == pytest.approx(v[:, -1].max() / 2 + n[:, -1, 0].mean())
    assert found["of a sum"] == pytest.approx(2 * v[:, -1].mean())
    again = [count for function, count in gone if function == "measures"]
    assert again == [10] and sum(count for function, count in gone if function == "piece") == 110


def test_a_piece_is_as_long_as_what_it_records_allows_and_what_it_takes_over_is_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "_AT_ONCE", 60)
    monkeypatch.setattr(measure, "_OF_STATES", 0)
    asked = {"one": "kept(b.n[b = 0])"}, {"all": "kept(b.n, a.v/(1 mV))"}
    for each in asked:
        compiled().measure(each)
    monkeypatch.setattr(measure, "_OF_STATES", 14)  # states have 4 + 3 + 3 numbers
    compiled().measure(asked[1])
    steps = [{piece[0].shape[1] for piece in one.shown} for one in Kept.made]
    # 60 numbers, one a step; 60, seven a step; 140, seven a step; and lengths divide 100.
    assert steps == [{50}, {5}, {20}]


def test_settings_are_numbers_texts_and_truth_values() -> None:
    compiled().measure({"n": 'kept(b.n, lag = 3, how = "that", yes = true)'})
    assert Kept.made[0].settings == {"lag": 3, "how": "that", "yes": True}


def test_an_experiment_has_its_trials_and_its_warm_up(tmp_path: Path) -> None:
    file = tmp_path / "model.cortex"
    file.write_text(TEXT, encoding="utf-8")
    choice = Choice(file, backend="interpreter", dtype="float64")
    session = Session.open(choice, CellKey("long", "base", ()), 2)
    found = session.result().measures
    sim = compiled(seed=2)
    n = np.asarray(sim.simulate(duration="55 ms", record=["b.n"], trials=3)["b.n"])[:, 10:]
    v = np.asarray(sim.simulate(duration="55 ms", record=["a.v"], trials=3)["a.v"])[:, 10:]
    assert found["first"] == pytest.approx(n[:, -1, 0].mean()) and found["twice"] == pytest.approx(2 * found["first"])
    assert found["activity"] == pytest.approx(v.mean())
    assert found["spread"] == pytest.approx(v.std(axis=1).mean() / v.mean())
    assert len(Kept.made) == 1 and Kept.made[0].trials == 3


REFUSED = [
    ("kept(a.v)", "CS401", "pure number"),
    ("kept(a.v[time = end]/(1 mV))", "CS501", "does not move in time"),
    ("kept(b.n[trial = 0, b = 1], b.n, b.n)", "CS301", "1 to 2 arguments"),
    ("kept(b.n, before = 2)", "CS301", "no argument `before`"),
    ("kept(b.n, lag = mean(b.n))", "CS303", "before anything runs"),
    ("refusing(b.n)", "CS931", "2 x 3 are too many"),
]


@pytest.mark.parametrize(("text", "code", "message"), REFUSED)
def test_what_cannot_be_gathered_is_told_before_anything_runs(
    text: str, code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_go_on", lambda *given: pytest.fail("it ran"))
    with pytest.raises(SpecError) as error:
        compiled().measure({"x": text}, trials=2)
    (one,) = error.value.diagnostics
    assert one.code == code and message in one.message + one.label, str(error.value)
    assert one.span is not None


def test_a_measure_along_a_run_is_no_loss() -> None:
    with pytest.raises(SpecError, match="CS700"):
        compiled().value_and_grad("mean(kept(b.n))")


@pytest.mark.parametrize("backend", ["interpreter", "jax"])
def test_an_input_has_its_frames_in_every_piece(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax" if backend == "jax" else "numpy")
    monkeypatch.setattr(measure, "_LONGEST", 7)
    sim, drive = compiled(backend), np.sin(np.arange(50.0))[None]
    found = sim.measure({"x": "kept(a.v/(1 mV))", "std": "std(a.v, over = [time])"}, {"drive": drive}, 20, warm_up=5)
    v = np.asarray(sim.simulate({"drive": drive}, 25, record=["a.v"])["a.v"])[:, 10:]
    np.testing.assert_allclose(Kept.made[0].whole(0), v, rtol=1e-12)
    assert found["std"] == pytest.approx(v.std(axis=1).mean(), rel=1e-10)
    with pytest.raises(SpecError, match="10 steps of warm-up and 30 more"):
        sim.measure({"x": "kept(b.n)"}, {"drive": drive}, 15, warm_up=5)


@pytest.mark.parametrize("backend", ["interpreter", "jax"])
def test_a_run_that_leaves_the_finite_numbers_is_told(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same step and trial as by `simulate`, though only the piece is gone through again."""
    pytest.importorskip("jax" if backend == "jax" else "numpy")
    monkeypatch.setattr(measure, "_LONGEST", 7)
    sim = compiled(backend, text=TEXT.replace("n <- n + ", "n <- n + exp(max(0, n - 12)^4) - 1 + "))
    with pytest.raises(SpecError) as whole:
        sim.simulate(record=["b.n"], trials=3)
    with pytest.raises(SpecError) as pieces:
        sim.measure({"x": "mean(b.n)"}, trials=3)
    assert pieces.value.diagnostics == whole.value.diagnostics
    assert "after step" in str(pieces.value) and pieces.value.diagnostics[0].code == "CS915"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("kept(a.v)", "CS401"),
        ("kept(a.τ/(1 ms))", "CS501"),
        ("kept(b.n, b.n, b.n)", "CS301"),
        ("kept(b.n, k = 1)", "CS301"),
    ],
)
def test_calls_are_checked_with_the_spec(call: str, code: str, tmp_path: Path) -> None:
    from cortexspec.runtime.check import check_file

    file = tmp_path / "model.cortex"
    file.write_text(TEXT.replace("measure first = kept(b.n, a.v/(1 mV))", f"measure first = {call}"), encoding="utf-8")
    found = check_file(file).diagnostics
    assert [one.code for one in found] == [code]
    assert (
        found[0].span is not None
        and found[0].span.line == TEXT.splitlines().index("  measure first = kept(b.n, a.v/(1 mV))") + 1
    )


def test_entries_are_immutable() -> None:
    assert replace(ENTRIES[0], name="other").signature().name == "other"


WORDS_TEXT = """
use watching

neuron unit {
  input u = 0
  state x ~ bernoulli(0.5)
  x <- 2*bernoulli(sigmoid(u)) - 1
  output x
}

circuit net(n: int = 9) {
  population a[n] : unit
  connect a -> a { weight = 0.3 }
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_words_are_gathered_in_the_place_of_states(backend: str) -> None:
    """Neuron i is bit i, whatever the engine; a group whose words the precision does not hold is given as it is."""
    pytest.importorskip("numpy" if backend == "interpreter" else backend)
    for size, shown in ((9, 2), (30, 3)):
        Kept.made.clear()
        simulation = cs.compile(cs.parse(WORDS_TEXT), "net", arguments={"n": size}, backend=backend, dt=1)
        simulation.measure({"f": "spelt(a.x[a = 0..2], a.x)", "g": "kept(a.x)"}, duration=40, trials=3)
        spelt = next(one for one in Kept.made if isinstance(one, Spelt))
        kept = next(one for one in Kept.made if one is not spelt)
        states = np.concatenate([piece[0] for piece in kept.shown], axis=1)
        whole = np.concatenate([piece[1] for piece in spelt.shown], axis=1)
        part = np.concatenate([piece[0] for piece in spelt.shown], axis=1)
        assert whole.ndim == part.ndim == shown
        if shown == 2:
            on = (states > 0).astype(np.int64)
            np.testing.assert_array_equal(whole, on @ (1 << np.arange(size)))
            np.testing.assert_array_equal(part, on[..., :3] @ (1 << np.arange(3)))
        else:
            np.testing.assert_array_equal(whole, states)
        assert spelt.elements == (3, size)


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
@pytest.mark.parametrize("over", ["time", "trial, time", "trial, a", "trial, time, a"])
def test_a_median_is_that_of_the_recordings(backend: str, over: str) -> None:
    """Of an odd number of elements and of an even one; the run is the same however the median is taken."""
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}.get(backend, "numpy"))
    sim = compiled(backend)
    for trials in (1, 3):
        measures = {"m": f"mean(median(a.v, over = [{over}]))", "q": f"mean(quantile(a.v, 0.9, over = [{over}]))"}
        measures["some"] = f"mean(median(sqrt((a.v - 1 mV)/(1 mV)), over = [{over}]))"
        found = sim.measure(measures, duration=12.5, trials=trials, seed=2)
        run = sim.simulate(record=["a.v"], duration=12.5, trials=trials, seed=2)["a.v"]
        assert run.shape == (trials, 25, 4)
        assert found["m"] == pytest.approx(float(run.median(over.split(", ")).mean()), rel=1e-12)
        some = np.sqrt((run - 1).where(run >= 1)).median(over.split(", "))
        assert np.isnan((run - 1).where(run >= 1)).any()
        assert found["some"] == pytest.approx(float(some.mean(skipna=False)), rel=1e-12, nan_ok=True)
        assert found["q"] == pytest.approx(float(run.quantile(0.9, over.split(", ")).mean()), rel=1e-12)


def test_a_median_has_the_same_slope_on_every_engine() -> None:
    """Of four neurons at three trials in the last step: of the two in the middle, and two of the highest."""
    text = TEXT.replace("param τ = 10 ms", "param τ = 10 ms  per neuron trainable")
    wanted: dict[str, tuple[float, np.ndarray]] = {}
    for backend in ("interpreter", "torch", "jax"):
        pytest.importorskip({"torch": "torch.nn", "jax": "jax"}.get(backend, "numpy"))
        sim = compiled(backend, text=text)
        loss = "(median(a.v[time = end]) + 3*quantile(a.v[time = end], 0.8))/(1 mV)"
        value, slopes = sim.value_and_grad(loss, duration=10, trials=3, seed=1)
        wanted[backend] = value, slopes["a.τ"]
    value, slope = wanted["interpreter"]
    assert 1 <= np.count_nonzero(slope) <= 4
    for other, gradient in wanted.values():
        assert other == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("text", "code"), [("quantile(a.v)", "CS301"), ("quantile(a.v, 1.2)", "CS512")])
def test_a_quantile_is_of_a_share(text: str, code: str) -> None:
    with pytest.raises(SpecError) as error:
        compiled().measure({"q": text})
    assert [one.code for one in error.value.diagnostics] == [code]


LATE = """
circuit net {
  population a[6] : lif(μ = 60 mV)
  attribute a.lag = 0.6 ms
  start a.v = 15 mV*uniform(0, 1)
  connect wires: a -> a { rule = fixed_indegree(1); weight ~ uniform(0 mV, 5 mV); delay = pre.lag }
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_what_is_on_its_way_arrives_in_the_program_that_goes_on(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that read something else have another layout; here slots are as many as neurons, so no shape tells."""
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}.get(backend, "numpy"))
    monkeypatch.setattr("cortexspec.runtime.measure._LONGEST", 17)
    settings: dict[str, Any] = {"dtype": "float64", "dt": "0.1 ms", "duration": "12 ms", "solver": "exact", "seed": 4}
    sim = cs.compile(cs.parse(lif() + LATE), "net", backend=backend, **settings)
    assert sim.sizes["wires.delay.slots"] == 6
    measures = {"end": "quantile(a.v[time = end], 0.4)", "middle": "mean(median(a.v, over = [time]))"}
    found = sim.measure(measures, warm_up="3 ms", trials=2)
    run = sim.simulate(record=["a.v"], duration="15 ms", trials=2)["a.v"].values
    assert found["end"] == pytest.approx(np.quantile(run[:, -1], 0.4), rel=1e-12)
    assert found["middle"] == pytest.approx(np.median(run[:, 30:], axis=1).mean(), rel=1e-12)
