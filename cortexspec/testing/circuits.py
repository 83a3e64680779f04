"""Hypothesis draws small whole circuits that run: neurons from a small grammar, populations, projections, a solver, a layout.

What is compared is a `Case` like any other, so a drawn circuit is judged as a paper's is. Equations leak, and what drives
them is bounded by a `tanh`: values stay finite whatever is drawn.
"""

# Hypothesis' `builds` and `map` lose types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from cortexspec.contracts.backend import Backend
from cortexspec.testing.cases import SOLVERS, Case
from cortexspec.testing.parity import Row, check
from cortexspec.testing.settings import DEFAULTS, Setting

STEPS = 12
_CONSTRAINTS = ("", " in positive(by = exp)", " in interval(-2, 2)")


@dataclass(frozen=True)
class Drawn:
    """A circuit, and the settings under which a backend runs it: the passes on and off, and those that were drawn."""

    case: Case
    settings: tuple[Setting, ...]

    def __repr__(self) -> str:
        """What a failing example is told by."""
        names = ", ".join(setting.name for setting in self.settings)
        return f"{self.case.solver}, {self.case.trials} trials, {names}:\n{self.case.spec}"


def _numbers(low: float, high: float) -> st.SearchStrategy[str]:
    return st.integers(round(10 * low), round(10 * high)).map(lambda tenth: f"{tenth / 10:g}")


def _terms(leaves: Sequence[str]) -> st.SearchStrategy[str]:
    """An expression over these names."""
    leaf = st.one_of(st.sampled_from(leaves), st.sampled_from(leaves), _numbers(0.1, 2))
    functions = st.sampled_from(("tanh", "sigmoid", "sin", "softplus", "-", "square"))

    def more(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        called = st.builds(_called, functions, parts)
        return st.one_of(called, st.builds("({} {} {})".format, parts, st.sampled_from("+-*"), parts))

    return st.recursive(leaf, more, max_leaves=5)


def _called(function: str, part: str) -> str:
    return {"-": f"(-{part})", "square": f"({part})^2"}.get(function, f"{function}({part})")


@st.composite
def _neurons(draw: st.DrawFn, name: str, smooth: bool) -> str:
    """States of first or second order, or (not `smooth`) stepped, drawn and spiking ones, with parameters for all neurons or for each."""
    extents = [draw(st.sampled_from(("", " per neuron"))) for _ in range(2)]
    sets = [draw(st.sampled_from(_CONSTRAINTS)) for _ in range(2)]
    starts = [draw(_numbers(0.3, 1.8)) for _ in range(2)]
    lines = [
        f"param {parameter} = {start}{extent}{of} trainable"
        for parameter, start, extent, of in zip("ab", starts, extents, sets, strict=True)
    ]
    lines += ["input u = 0", f"state x = {draw(_numbers(-1, 1))}"]
    leaves = ["x", "u", "a", "b"]
    two = draw(st.booleans())
    if two:
        lines.append(f"state y = {draw(_numbers(-1, 1))}")
        leaves.append("y")
    heard = {"u"}
    if draw(st.booleans()):
        sum_of = draw(_terms(leaves))
        lines.append(f"let w = {sum_of}")
        if re.search(r"\bu\b", sum_of):
            heard.add("w")
        leaves.append("w")
    kinds = ("leaky", "second") if smooth else ("leaky", "second", "stepped", "drawn", "noisy")
    for state in ("x", "y")[: 1 + two]:
        drive = f"tanh({draw(_terms(leaves))})"
        leak = draw(_numbers(0.2, 2))
        match draw(st.sampled_from((*kinds, "spiking") if state == "x" and not smooth else kinds)):
            case "leaky":
                lines.append(f"{state}' = -{leak}*{state} + {drive}")
            case "spiking":
                lines.append(f"x' = -{leak}*x + 2 + {drive}")
                held = draw(st.sampled_from(("", "  refractory 0.2")))
                lines.append(f"spike when x > 0.3137 {{ x <- {draw(_numbers(-1, 0.2))} }}{held}")
            case "second":
                lines.append(f"{state}'' + {draw(_numbers(0.5, 2))}*{state}' + {leak}*{state} = {drive}")
            case "drawn":
                lines.append(f"{state} <- bernoulli(sigmoid({leak}*{drive}))")
            case "noisy":
                lines.append(f"{state} <- 2*bernoulli(sigmoid({drive} + {leak}*normal(0, 1))) - 1")
            case _:
                lines.append(f"{state} <- 0.5*{state} + 0.5*{drive}")
    # An output without a state is one number for all neurons, and takes no matrix of weights; one that hears the input closes a loop.
    lines += ["output x", f"output r = x + {draw(_terms([one for one in leaves if one not in heard]))}"]
    return _block(f"neuron {name}", lines)


def _block(head: str, lines: Sequence[str]) -> str:
    return f"{head} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


@st.composite
def circuits(draw: st.DrawFn) -> Drawn:
    """One or two types of neuron, one to three populations, projections between any two of them, an input, a mean of all.

    What spikes may be connected by its spikes, through a synapse, with a delay, one a connection or none.
    """
    solver = draw(st.sampled_from(SOLVERS))
    smooth = draw(st.booleans())
    types = [f"kind{i}" for i in range(draw(st.integers(1, 2)))]
    neurons = [draw(_neurons(name, smooth)) for name in types]
    spiking = {name for name, text in zip(types, neurons, strict=True) if "spike when" in text}
    sizes = {f"p{i}": draw(st.integers(1, 4)) for i in range(draw(st.integers(1, 3)))}
    lines = ["input drive"]
    kinds = {name: draw(st.sampled_from(types)) for name in sizes}
    lines += [f"population {name}[{size}] : {kinds[name]}" for name, size in sizes.items()]
    lines.append("connect drive -> p0.u")
    pairs = st.tuples(st.sampled_from(tuple(sizes)), st.sampled_from(tuple(sizes)))
    for place, (source, target) in enumerate(draw(st.lists(pairs, max_size=4))):
        weights = ("one", "scalar", "matrix", "drawn", "wired") + (
            ("one to one",) if sizes[source] == sizes[target] else ()
        )
        port = draw(st.sampled_from((".x", ".r", *((".spike",) if kinds[source] in spiking else ()))))
        settings = ""
        match draw(st.sampled_from(weights)):
            case "scalar":
                lines.append(f"param s{place} = {draw(_numbers(-1, 1))} trainable")
                settings = f"weight = s{place}"
            case "matrix":
                lines.append(f"param W{place}[{target}, {source}] ~ normal(0, 0.7) trainable")
                settings = f"weight = tanh(W{place})"
            case "drawn":
                settings = "weight ~ normal(0, 0.5) trainable"
            case "wired":
                weight = draw(st.sampled_from(("= 0.5", "~ normal(0, 0.5)", "~ normal(0, 0.5) trainable")))
                settings = f"rule = {draw(st.sampled_from(_RULES))}; weight {weight}"
            case "one to one":
                settings = f"rule = one_to_one; weight = {draw(_numbers(-1, 1))}"
            case _:
                settings = "weight = 0.3"
        if port == ".spike":
            settings += f"; synapse = decaying{draw(st.sampled_from(_DELAYS))}"
        lines.append(f"connect c{place}: {source}{port} -> {target}.u {{ {settings} }}")
    total = " + ".join(f"mean({name}.x)" for name in sizes)
    lines.append(f"output y = {total}")
    synapses = [_SYNAPSE] if spiking else []
    text = "\n".join([*synapses, *neurons, _block("circuit net", lines)])
    case = Case(
        "drawn", text, "net", solver, dt=0.1, steps=STEPS, gradient_steps=STEPS, trials=draw(st.integers(1, 3)),
        streams=("drive",) if draw(st.booleans()) else (), seed=draw(st.integers(0, 99)),
    )  # fmt: skip
    drawn = draw(st.sampled_from(_PLANS))
    return Drawn(case, (*DEFAULTS, drawn) if drawn is not None else DEFAULTS)


_SYNAPSE = _block("synapse decaying", ["input z", "state g = 0  per post", "g' = z - 2*g", "output g"])
_DELAYS = ("", "; delay = 0.2", "; delay ~ uniform(0.1, 0.4)")
_RULES = (
    "bernoulli(0.5)",
    "fixed_indegree(1)",
    "fixed_outdegree(2, multapses = true)",
    "fixed_total(1)",
    "all_to_all(autapses = false)",
)

# Beside the passes as they are and none at all: the layout alone, another save policy, nested loops, the IR's own gradient.
_PLANS = (
    None,
    Setting("only choose-layout", passes=("choose-layout",)),
    Setting("carry", save="carry"),
    Setting("segments", segments=(5,)),
    Setting("nested twice, whole", segments=(6, 3), gradient="whole"),
    Setting("halves, carry", save="carry", gradient="halves"),
)


def disagreements(backend: Backend, drawn: Drawn) -> list[Row]:
    """The rows that miss their bound."""
    quantities = ("values", "gradients")
    rows = [row for setting in drawn.settings for row in check(backend, drawn.case, setting, quantities, gaps=())]
    return [row for row in rows if not row.fine]
