"""specs/elm, small: its smoke profile from text and from sound to verdicts; and the published counts."""

from pathlib import Path

import pytest

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.reproduce import reproduce
from cortexspec.experiments.session import AUTO, Choice, Session

pytest.importorskip("cortexspec_elm")
pytest.importorskip("cortexspec_sequences")
SPEC = Path(__file__).parents[2] / "specs" / "elm"


def test_the_smoke_profile_judges_its_claims(tmp_path: Path) -> None:
    pytest.importorskip("torch.nn")
    table = reproduce(Choice(SPEC, AUTO), profile="smoke", store=tmp_path, workers=0)
    assert set(table.rows) == {"letters_smoke", "speech_smoke"} and not table.not_run and not table.broken
    assert {row.claim.text: row.verdict.word for row in table.rows["letters_smoke"]} == {
        "better than guessing": "holds"
    }
    text, speech = (CellKey(name, "base", ()) for name in ("letters_smoke", "speech_smoke"))
    assert set(table.measure(text, "P")) == {27 * (64 + 40) + 27 * 28 + 8 * (64 + 201)}
    assert (table.measure(speech, "active") > 0).all()
    assert "letters alone" in table.results[text][1].note and "SYNTHETIC" in table.results[speech][1].note


def test_the_published_neuron_has_as_many_parameters(tmp_path: Path) -> None:
    table = reproduce(Choice(SPEC, "interpreter"), ["neuron_counts"], store=tmp_path, workers=0)
    assert [row.verdict.word for row in table.rows["neuron_counts"]] == ["holds", "holds"]


def test_neurons_with_matrices_of_their_own_train_on_jax_where_nothing_else_is_asked_for() -> None:
    pytest.importorskip("jax")
    description = Session.describe(Choice(SPEC, AUTO), CellKey("speech_smoke", "base", ()), 1)
    assert description["backend"] == "jax"
