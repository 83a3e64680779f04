"""`use tasks` in a spec: the trials of a cell follow its seed, and a network learns them."""

from pathlib import Path

import numpy as np
import pytest

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.runtime.check import check_file

TEXT = """
use tasks

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
  output logits = readout(hidden.h)
}

experiment decide of rnn {
  dataset = DATASET
  simulate { duration = dataset.length; dt = 1 }
  train { loss = cross_entropy(logits[time = end], label); optimizer = adam(lr = 0.01); batch = 64; epochs = EPOCHS; shuffle = false }
  measure held_out = mean(argmax(logits[time = end]) == label)
}
"""
KEY = CellKey("decide", "base", ())


def written(folder: Path, dataset: str, epochs: int = 1) -> Path:
    file = folder / "model.cortex"
    file.write_text(TEXT.replace("DATASET", dataset).replace("EPOCHS", str(epochs)), encoding="utf-8")
    return file


def test_a_network_learns_to_decide(tmp_path: Path) -> None:
    pytest.importorskip("torch.nn")
    file = written(
        tmp_path, "perceptual_decision(trials = 1280, held_out = 1000, coherences = [25.6, 51.2], delay = 2)", 4
    )
    assert check_file(file).diagnostics == ()
    result = Session.open(Choice(file), KEY, 1).result()
    assert float(result.measures["held_out"]) > 0.9 and result.note == "1,280 + 1,000 trials"


def test_each_seed_has_trials_of_its_own_unless_the_spec_names_one(tmp_path: Path) -> None:
    choice = Choice(written(tmp_path, "go_nogo(trials = 64, held_out = 1)"), backend="interpreter")
    one, same, two = (Session.open(choice, KEY, seed) for seed in (1, 1, 2))
    assert one.dataset.fingerprint == same.dataset.fingerprint != two.dataset.fingerprint
    assert one.simulation.steps() == 40
    assert Session.address(choice, KEY, 1) != Session.address(choice, KEY, 2)
    choice = Choice(written(tmp_path, "go_nogo(trials = 64, held_out = 1, seed = 7)"), backend="interpreter")
    labels = [Session.open(choice, KEY, seed).dataset.train.fields["label"].array for seed in (1, 2)]
    assert np.array_equal(*labels)


@pytest.mark.parametrize(
    ("dataset", "code", "said"),
    [
        ("go_no_go()", "CS912", "go_nogo"),
        ("go_nogo(pause = 3)", "CS923", "`go_nogo` has no setting `pause`"),
        ("go_nogo(silence = true)", "CS923", "`silence` of `go_nogo` is a number, not true or false"),
        ("perceptual_decision(coherences = 6.4)", "CS923", "is a list of numbers, not a number"),
        ('go_nogo("easy")', "CS923", "takes no argument without a name"),
    ],
)
def test_what_a_task_cannot_be_told_is_said_before_anything_runs(
    tmp_path: Path, dataset: str, code: str, said: str
) -> None:
    found = check_file(written(tmp_path, dataset)).diagnostics
    assert [one.code for one in found] == [code] and said in f"{found[0].message} {found[0].help}"


def test_the_tasks_are_called_by_their_data(tmp_path: Path) -> None:
    """A list of numbers as a setting, and a task whose numbers do not fit, at the place where the spec names it."""
    from cortexspec.diagnostics import SpecError

    with pytest.raises(SpecError) as caught:
        Session.open(Choice(written(tmp_path, "go_nogo(silence = 0.5)"), backend="interpreter"), KEY, 1)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS505" and diagnostic.span is not None
