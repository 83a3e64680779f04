"""What backends are compared on: circuits, driven, with the step, the number of steps and the inputs that each gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cortexspec.testing import spiking

STATES_BOUND = 1e-12
GRADIENTS_BOUND = 1e-10


@dataclass(frozen=True)
class Case:
    """One circuit under one solver.

    `spec` names a reference spec, or is the text of one; `items` are items that stand beside the spec's own, `edits` statements
    that the circuit gets beside its own.
    `dt` is in coherent units (ms, or steps). `streams` are inputs with one
    frame a step; every input is normal noise times its `amplitude` (1 where none is given). `data_sizes` are sizes that only
    data tell. `bound` of the states is relative to the largest value; `note` says why it is not the usual one, or what
    is special about the run.
    """

    name: str
    spec: str
    circuit: str
    solver: str = "euler"
    dt: float = 1.0
    steps: int = 1000
    gradient_steps: int = 100
    trials: int = 3
    trial_numbers: tuple[int, ...] = ()  # their place in the batch, from 2 on, where none are given
    training: bool = False
    shown: bool = False  # random draws are among the outputs
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    items: str = ""
    edits: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    amplitude: Mapping[str, float] = field(default_factory=dict[str, float])
    data_sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    seed: int = 1
    bound: float = STATES_BOUND
    gradients_bound: float = GRADIENTS_BOUND
    note: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} {self.solver}"

    def shorter(self, steps: int, gradient_steps: int) -> Case:
        return replace(self, steps=min(self.steps, steps), gradient_steps=min(self.gradient_steps, gradient_steps))


SOLVERS = ("euler", "heun", "midpoint", "rk4", "exponential_euler", "exact")
_IMAGE = MappingProxyType({"image_0": 1, "image_1": 16, "image_2": 16})  # one channel, 16 x 16
_NOISE = MappingProxyType({"drive": 0.02, "context": 0.02})  # kHz
_SLOW, _PRINTED = 3.65, 0.05  # the experiments' own steps: ms, and the paper's time units
_ARRAY = MappingProxyType({"regions": 2, "channels": 4})

# The readings of specs/cmc. 1,000 steps are 50 times the experiments' 73 ms.
CMC: tuple[Case, ...] = (
    Case("cmc", "cmc", "cmc", dt=_SLOW, streams=("drive", "context"), amplitude=_NOISE),
    Case("cmc2014", "cmc", "cmc2014", dt=_SLOW, streams=("drive", "context"), amplitude=_NOISE),
    Case(
        "cmc_as_printed", "cmc", "cmc_as_printed", dt=_PRINTED, streams=("I",),
        edits=("start v2.v = 0.3", "start v3.v = -0.2"),
        note="has no stable rest: drifts and grows, but stays finite",
    ),
    Case(
        "cmc_repaired", "cmc", "cmc_repaired", dt=_SLOW, streams=("drive",), amplitude=_NOISE,
        edits=("start ii.v = 0.3 mV", "start dp.v = -0.2 mV"),
        note="latches: ss and sp excite themselves and inhibit each other",
    ),
    Case("cmc_public_code", "cmc", "cmc_public_code", dt=_PRINTED, streams=("context",)),
    Case(
        "visual_hierarchy", "cmc", "visual_hierarchy", dt=_SLOW, arguments={**_ARRAY, "hidden": 8}, data_sizes=_IMAGE,
        note="nothing drives it after its initial state",
    ),
    Case(
        "visual_hierarchy training", "cmc", "visual_hierarchy", dt=_SLOW, training=True, trials=5,
        arguments={**_ARRAY, "hidden": 8}, data_sizes=_IMAGE, note="batch statistics and dropout masks",
    ),
    Case("driven", "cmc", "driven", dt=_SLOW, arguments=_ARRAY, data_sizes=_IMAGE),
    Case("driven region", "cmc", "driven", dt=_SLOW, arguments={**_ARRAY, "regions": 1}, data_sizes=_IMAGE),
    Case("driven training", "cmc", "driven", dt=_SLOW, training=True, trials=5, arguments=_ARRAY, data_sizes=_IMAGE),
)  # fmt: skip

READINGS, NETWORKS = CMC[:5], CMC[5:]

# A region whose spiny stellate cells are noisy: what Itô noise is compared on.
_NOISY_MASS = """
neuron noisy_mass {
  param κ = 50 Hz  trainable in positive(by = exp)
  param H = 1 mV
  param R = 2/(3 mV)
  param σ = 0.3 mV/ms  trainable
  noise ξ
  input u : Hz
  state v = 0 mV, v' = 0 mV/ms
  v'' + 2*κ*v' + κ^2*v = κ*H*u + σ*κ^(1/2)*ξ
  output v
  output r = sigmoid(R*v) - 1/2
}
"""
NOISY = Case(
    "cmc noisy", "cmc", "cmc", "euler_maruyama", dt=_SLOW, streams=("drive", "context"), amplitude=_NOISE,
    items=_NOISY_MASS, edits=("ss : noisy_mass", "dp : noisy_mass"), note="ss and dp carry white noise",
)  # fmt: skip

_FEW_CELLS = MappingProxyType({"n": 24, "n_in": 3, "n_out": 2, "field": "microns/few_cells.npz"})

_EXPRESSIVE = MappingProxyType(
    {"n_in": 4, "n_out": 3, "N": 5, "d_m": 3, "d_tree": 4, "d_brch": 2, "ρ": 0.5, "τ_min": 0.5, "τ_max": 50}
)

# Reference specs of other papers. Those that this version does not lower are known gaps (`testing.gaps`).
OTHERS: tuple[Case, ...] = (
    Case("gru", "gallery/gru", "gru", arguments={"N": 6}, streams=("x",), solver="steps"),
    Case("elm", "elm", "network", arguments=_EXPRESSIVE, streams=("x",), solver="steps", dt=1.0),
    Case(
        "infoflux",
        "infoflux",
        "embedded_core",
        dt=1.0,
        solver="steps",
        note="binary states: one bit that differs anywhere misses the bound",
    ),
    Case(
        "microns_rnn", "microns_rnn", "rnn", solver="steps", arguments=_FEW_CELLS, streams=("x",),
        edits=("W0 = W_bio", "D = D_slip", "output cost = direct"), note="cost: communicability by the matrix exponential",
    ),
    Case(
        "microns_rnn emd", "microns_rnn", "rnn", solver="steps", arguments=_FEW_CELLS, streams=("x",),
        edits=("W0 = W_bio[order, order]", "output cost = emd"), note="cost: sorted communicability against that of the synapses",
    ),
    Case("balanced", "balanced", "ring", "exact", dt=0.1, arguments={"N": 60, "K": 12}),
    Case("jansen_rit", "gallery/jansen_rit", "brain", dt=0.1),
    Case(
        "coba_stp", "gallery/coba_stp", "network", "exponential_euler", dt=0.1, arguments={"N_e": 40, "N_i": 10, "p": 0.2},
        note="short-term and spike-timing plasticity, conductances",
    ),
    Case("spikes of all kinds", spiking.kinds(), "kinds", "exact", dt=0.1, note="a spike that differs anywhere misses the bound"),
    Case("spikes of all kinds", spiking.kinds("arctan(3 V^-1)"), "kinds", "rk4", dt=0.1),
)  # fmt: skip

# Spike for spike over a second of 1,000 neurons: only where everything is asked for.
LONG = Case(
    "lif network", spiking.NETWORK, "network", "exact", dt=0.1, steps=10_000, trials=1, note="1 s, every spike the same"
)


# The networks under the solver of their experiments, and one of each under another, so that solvers meet arrays of regions. Training
# changes the encoder and the head, not the steps.
_TURNS: Mapping[str, str] = {"visual_hierarchy": "exact", "driven": "exponential_euler"}


def cases(everything: bool = False) -> tuple[Case, ...]:
    """Every CMC reading under every solver, noise, the networks, the other papers. `everything`: the networks under every solver
    too.
    """
    readings = tuple(replace(case, solver=solver) for case in READINGS for solver in SOLVERS)
    networks = tuple(
        replace(case, solver=solver)
        for case in NETWORKS
        for solver in SOLVERS
        if everything or solver in ("euler", _TURNS.get(case.name))
    )
    return (*readings, NOISY, *networks, *OTHERS, *((LONG,) if everything else ()))


def fast_cases() -> tuple[Case, ...]:
    """Every circuit once, and one circuit under every solver: what the tests of each change run."""
    return (*(replace(CMC[0], solver=solver) for solver in SOLVERS), *CMC[1:5], NOISY, *NETWORKS, OTHERS[0])
