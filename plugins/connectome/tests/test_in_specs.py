"""Statistics of weights in a spec: of a circuit as it is and as it is trained, undefined ones, and where they may not stand."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_connectome.topology import assortativity, modularity, small_worldness, top_share, undirected

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.runtime.check import check_file

TEXT = """
use connectome, tasks

neuron unit {
  input u = 0
  state h = 0
  h <- relu(u)
  output h
}

circuit rnn(n: int = 12, n_in: int = 3, n_out: int = 2) {
  input x[n_in]
  population hidden[n] : unit
  part readout : dense(n_out)
  connect x -> hidden { weight ~ normal(0, 0.5) trainable }
  connect rec: hidden -> hidden { weight ~ normal(0, 0.25) trainable }
  PENALTY
  output logits = readout(hidden.h)
}

experiment decide of rnn {
  dataset = go_nogo(trials = 128, held_out = 64)
  simulate { duration = dataset.length; dt = 1 }
  train { loss = LOSS; optimizer = adam(lr = 0.01); batch = 64; epochs = 1 }
  let W = rec.weight, G = top_share(abs(rec.weight), 0.3)
  measure accuracy = mean(argmax(logits[time = end]) == label)
  measure H = entropy_of(W)
  measure Q = modularity(G)
  measure small = small_worldness(G, null = "matched", graphs = 20)
  measure r = assortativity(G)
  measure density = G
  measure both = 2*Q + accuracy
  measure none = modularity(top_share(W - W))
  EXTRA
}
"""
KEY = CellKey("decide", "base", ())


def written(
    folder: Path, loss: str = "cross_entropy(logits[time = end], label)", penalty: str = "", extra: str = ""
) -> Path:
    file = folder / "model.cortex"
    text = TEXT.replace("LOSS", loss).replace("PENALTY", penalty).replace("EXTRA", extra)
    file.write_text(text, encoding="utf-8")
    return file


def test_trained_weights_are_measured(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert check_file(file).diagnostics == ()
    session = Session.open(Choice(file, backend="interpreter"), KEY, 4)
    before = session.simulation.parameters()["rec.weight"].copy()
    result = session.result()
    weights = session.simulation.parameters()["rec.weight"]
    assert not np.array_equal(before, weights)
    found = {name: float(value) for name, value in result.measures.items()}
    graph = top_share(np.abs(weights), 0.3)
    assert found["Q"] == pytest.approx(modularity(undirected(graph)))
    assert found["r"] == pytest.approx(assortativity(undirected(graph)))
    assert found["small"] == pytest.approx(small_worldness(undirected(graph), "matched", 20, seed=4))
    assert found["density"] == pytest.approx(graph.mean())
    assert found["both"] == pytest.approx(2 * found["Q"] + found["accuracy"])
    assert 0 < found["H"] < np.log2(100)
    assert np.isnan(found["none"])
    assert "`none` is undefined: the graph has no edge" in result.note and "trials" in result.note


def test_weights_that_are_no_numbers_leave_a_measure_undefined(tmp_path: Path) -> None:
    simulation = cs.compile(written(tmp_path), "rnn", dt=1, backend="interpreter")
    lets = {"G": "top_share(abs(rec.weight), 0.3)"}
    expected = modularity(undirected(top_share(np.abs(simulation.parameters()["rec.weight"]), 0.3)))
    assert simulation.measure({"Q": "modularity(G)"}, lets=lets)["Q"] == pytest.approx(expected)
    weights = simulation.parameters()["rec.weight"].copy()
    weights[1, 2] = np.nan
    simulation.set_raw_parameters({"rec.weight": weights})
    with pytest.warns(UserWarning, match="`Q` is undefined: of the 144 numbers .* 1 are not finite"):
        assert np.isnan(simulation.measure({"Q": "modularity(G)"}, lets=lets)["Q"])


def test_a_matrix_is_read_as_it_is_written(tmp_path: Path) -> None:
    """[target, source], whatever order a program keeps its axes in; also through a statistic that gives a matrix."""
    from cortexspec.expressions.parse import parse_expression
    from cortexspec.runtime import statistics as runtime

    simulation = cs.compile(written(tmp_path), "rnn", dt=1, backend="interpreter")
    weights = simulation.parameters()["rec.weight"]
    reading = runtime._Reading(simulation, {}, {}, None)
    assert np.array_equal(reading.value(parse_expression("rec.weight")).array, weights)
    for text in ("top_share(rec.weight, 0.2)", "1*top_share(rec.weight, 0.2)"):
        assert np.array_equal(reading.value(parse_expression(text)).array, top_share(weights, 0.2)), text


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"loss": "modularity(rec.weight)"}, "CS308", "stand in a measure alone"),
        ({"loss": "mean(G)"}, "CS308", "stand in a measure alone"),
        ({"penalty": "penalty few = modularity(rec.weight)"}, "CS308", "stand in a measure alone"),
        ({"extra": "measure bad = modularity(hidden.h)"}, "CS501", "does not move"),
        ({"extra": "measure bad = modularity(hidden.h[time = end])"}, "CS501", "does not move"),
        ({"extra": "measure bad = modularity(0.5)"}, "CS501", "a matrix"),
        ({"extra": 'measure bad = small_worldness(G, nulls = "matched")'}, "CS301", "no argument `nulls`"),
        ({"extra": "measure bad = modularity()"}, "CS301", "takes 1 argument"),
    ],
)
def test_where_a_statistic_may_not_stand(tmp_path: Path, changed: dict[str, str], code: str, said: str) -> None:
    found = [one for one in check_file(written(tmp_path, **changed)).diagnostics if one.severity == "error"]
    assert [one.code for one in found] == [code] and said in found[0].message, found


def test_from_python_a_recording_is_refused_too(tmp_path: Path) -> None:
    simulation = cs.compile(written(tmp_path), "rnn", dt=1, backend="interpreter")
    for text, code in (("entropy_of(hidden.h[time = end])", "CS501"), ('small_worldness(rec.weight, "best")', "CS301")):
        with pytest.raises(SpecError, match=code):
            simulation.measure({"bad": text})
    with pytest.raises(SpecError, match="CS306"):
        simulation.measure({"bad": 'small_worldness(rec.weight, null = "best")'})
