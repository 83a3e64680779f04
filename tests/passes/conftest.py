"""The canonical microcircuit as lowering writes it, line by line and without any thought of speed: what passes start from."""

from collections.abc import Callable

import numpy as np
import pytest

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Module, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.drive import drive
from cortexspec.passes.solvers.euler import euler
from cortexspec.passes.solvers.rk4 import rk4
from cortexspec.units import DIMENSIONLESS, parse_unit

MV, KHZ, MS = (parse_unit(text)[0] for text in ("mV", "kHz", "ms"))
NAMES = ("ss", "ii", "dp", "sp")
# target, source, sign, parameter
COUPLINGS = (
    ("ss", "ss", -1, "γ1"),
    ("ss", "sp", -1, "γ2"),
    ("ss", "ii", -1, "γ3"),
    ("ii", "ii", -1, "γ4"),
    ("ii", "ss", +1, "γ5"),
    ("ii", "dp", +1, "γ6"),
    ("sp", "sp", -1, "γ7"),
    ("sp", "ss", +1, "γ8"),
    ("dp", "ii", -1, "γ9"),
    ("dp", "dp", -1, "γ10"),
)
MAGNITUDES = {"γ1": 80, "γ2": 80, "γ3": 160, "γ4": 80, "γ5": 80, "γ6": 40, "γ7": 80, "γ8": 80, "γ9": 40, "γ10": 20}
RATES = {"ss": 50.0, "ii": 6.25, "dp": 3.57, "sp": 50.0}  # Hz


class Microcircuit:
    """`module` with `rollout` (and `loss`), and inputs for it. Populations have `width` neurons each."""

    def __init__(self, solver=euler, width: int | str = 1, record=("V.sp.v",), contract: bool = True):
        self.contract = contract
        self.region, self.source = Axis("V", Size.of("V")), Axis("V_source", Size.of("V"))
        self.sample = Axis("sample", Size.of("sample"), "sample")
        self.axes = {name: Axis(name, Size.of(width)) for name in NAMES}
        per_region = Type((self.region,))
        params = [Value(f"V.{name}", per_region.with_unit(KHZ)) for name in MAGNITUDES]
        params += [Value(f"V.{name}.κ", per_region.with_unit(KHZ)) for name in NAMES]
        params += [Value("W", Type((self.region, self.source), "float", KHZ / MV)), Value("a", per_region)]
        self.params = {value.name: value for value in params}
        self.states: list[State] = []
        for name in NAMES:
            type_ = Type((self.region, self.axes[name], self.sample), "float", MV)
            self.states.append(State(Value(f"V.{name}.v", type_), f"V.{name}", "neural_mass", "v"))
            rate = type_.with_unit(MV / MS)
            self.states.append(State(Value(f"V.{name}.v'", rate), f"V.{name}", "neural_mass", "v'"))
        module = Module(
            "cmc",
            states=tuple(self.states),
            functions={"init": self.init(), "derivative": self.derivative(), "output": self.output()},
        )
        finals = tuple(state.value.name for state in self.states)
        self.module = self.with_loss(drive(solver(module), record=record, final=finals))

    def value(self, name: str) -> Value:
        return self.params.get(name) or next(s.value for s in self.states if s.value.name == name)

    def init(self) -> Function:
        starts = [Value(f"x0.{state.value.name}", state.value.type) for state in self.states]
        return Builder().function("init", starts, starts, [state.value.name for state in self.states])

    def derivative(self) -> Function:
        build = Builder()
        inputs = [*self.params.values(), *(state.value for state in self.states)]
        for value in inputs:
            build.names.take_value(value)
        half, two = write.const(build, 0.5), write.const(build, 2.0)
        slope = write.const(build, 0.67, DIMENSIONLESS / MV)
        rates = {}
        for name in NAMES:
            inner = write.mul(build, slope, self.value(f"V.{name}.v"))
            rates[name] = write.sub(build, write.sigmoid(build, inner), half)
        cells = Axis("cells", sum((axis.size for axis in self.axes.values()), Size.of(0)))
        joined = write.concat(build, [self.value(f"V.{name}.v") for name in NAMES], NAMES, cells)
        activity = write.mean(build, joined, ["cells"])
        context = write.contract(
            build, self.coupling(build), write.rename(build, activity, {"V": "V_source"}), ["V_source"]
        )
        slopes = []
        for name in NAMES:
            total = context
            for target, source, sign, parameter in COUPLINGS:
                if target == name:
                    total = write.add(
                        build, total, self.arriving(build, target, source, sign, parameter, rates[source])
                    )
            v, w = self.value(f"V.{name}.v"), self.value(f"V.{name}.v'")
            κ = self.value(f"V.{name}.κ")
            drive_ = write.mul(build, write.mul(build, κ, write.const(build, 1.0, MV)), total)
            damping = write.mul(build, write.mul(build, two, κ), w)
            spring = write.mul(build, write.pow(build, κ, 2.0), v)
            slopes += [w, write.sub(build, write.sub(build, drive_, damping), spring)]
        return build.function("derivative", inputs, slopes, [state.value.name for state in self.states])

    def coupling(self, build: Builder) -> Value:
        """0.1*sigmoid(a)*off_diagonal(W)"""
        gate = write.scale(build, write.sigmoid(build, self.params["a"]), 0.1)
        off = write.sub(build, write.const(build, 1.0), write.identity(build, self.region, self.source))
        return write.mul(build, gate, write.mul(build, self.params["W"], off))

    def arriving(self, build: Builder, target: str, source: str, sign: int, parameter: str, rate: Value) -> Value:
        weight = self.params[f"V.{parameter}"]
        weight = write.neg(build, weight) if sign < 0 else weight
        if not self.contract:
            total = write.expand(build, write.sum_(build, rate, [source]), [self.axes[target]])
            return write.mul(build, weight, total)
        along = source
        if source == target:
            along = f"{source}_source"
            rate = write.rename(build, rate, {source: along})
        weight = write.expand(build, weight, [self.axes[target], Axis(along, self.axes[source].size)])
        return write.contract(build, weight, rate, [along])

    def output(self) -> Function:
        build = Builder()
        values = [self.value(f"V.{name}.v") for name in NAMES]
        for value in values:
            build.names.take_value(value)
        cells = Axis("cells", sum((axis.size for axis in self.axes.values()), Size.of(0)))
        joined = write.concat(build, values, NAMES, cells)
        return build.function("output", values, [write.mean(build, joined, ["cells"])], ["V.activity"])

    def with_loss(self, module: Module) -> Module:
        rollout = module.function("rollout")
        build = Builder(Names.of(rollout))
        build.lines = list(rollout.body)
        total = None
        for value in rollout.outputs:
            weight = write.div(build, value, write.const(build, 1.0, value.type.unit))
            square = write.mul(build, weight, weight)
            whole = write.sum_(build, square, value.type.axes)
            total = whole if total is None else write.add(build, total, whole)
        outputs, names = (*rollout.outputs, total), (*rollout.output_names, "loss")
        return module.with_functions(loss=build.function("loss", rollout.inputs, outputs, names))

    def inputs(self, regions: int = 2, batch: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        sizes = {"V": regions, "sample": batch}
        given: dict[str, np.ndarray] = {"dt": np.array(3.65)}
        for name, value in self.params.items():
            shape = [axis.size.evaluate(sizes) for axis in value.type.axes]
            scale = 1e-3 * MAGNITUDES.get(name.removeprefix("V."), 100.0)
            if name.endswith(".κ"):
                scale = 1e-3 * RATES[name.split(".")[1]]
            given[name] = scale * random.uniform(0.8, 1.2, shape) if name != "W" else 0.05 * random.normal(size=shape)
        for state in self.states:
            names = self.module.layout.sort(state.value.type.names)
            shape = [state.value.type.axis(name).size.evaluate(sizes) for name in names]
            given[f"x0.{state.value.name}"] = random.normal(size=shape) * (1 if state.variable == "v" else 0.05)
        return given


@pytest.fixture(params=["euler", "rk4"])
def microcircuit(request) -> Microcircuit:
    return Microcircuit({"euler": euler, "rk4": rk4}[request.param])


@pytest.fixture
def make_microcircuit() -> Callable[..., Microcircuit]:
    return Microcircuit


@pytest.fixture(scope="session")
def microcircuit_of() -> Callable[..., Microcircuit]:
    """One circuit for each solver and recording: building it takes longer than a pass."""
    made: dict[tuple[object, tuple[str, ...]], Microcircuit] = {}

    def get(solver, record=()) -> Microcircuit:
        return made.setdefault((solver, record), Microcircuit(solver, record=record))

    return get
