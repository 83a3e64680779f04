"""The compiled kernels behind deliveries by events."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn")

import torch
from cortexspec_torch.emit import helpers

from cortexspec.contracts import native


@pytest.mark.skipif(native.library("deliver") is None, reason="no C++ compiler")
def test_a_kernel_reads_as_many_sources_as_there_are():
    """Two projections whose connections lie at one place in memory: the second sees the first two sources alone."""
    rows, target = torch.tensor([0, 1, 2, 4]), torch.tensor([0, 1, 0, 2])
    ring, now = torch.zeros(1, 3, dtype=torch.float64), torch.tensor(0)
    z, weight = torch.ones(3, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    for sources, wanted in ((3, [4.0, 2.0, 2.0]), (2, [2.0, 2.0, 0.0]), (3, [4.0, 2.0, 2.0])):
        found = helpers.delivered(z[:sources], rows[: sources + 1], target, weight, ring, now, now, 0, 0)
        assert found.tolist() == [wanted]
