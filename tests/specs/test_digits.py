"""A small spiking network learns the embedded digits by surrogate gradients.

The whole training, `cortexspec train specs/gallery/digits.cortex`, takes six epochs; here one says that it learns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.experiments.train import train

SPEC = Path(__file__).parents[2] / "specs" / "gallery" / "digits.cortex"


def test_it_learns_across_its_spikes():
    pytest.importorskip("torch.nn")
    session = Session(Choice(SPEC, "torch"), CellKey("rates", "base", ()), 1)
    assert session.plan is not None
    history = train(session, replace(session.plan, epochs=1))
    assert history[-1]["accuracy"] > 0.75
