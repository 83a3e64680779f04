"""Writes `rollout` from `init`, `step` and `output`: one scan over the axis `time`."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import inline
from cortexspec.ir.module import Function, Module, Value
from cortexspec.ir.ops.arith import Add
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Index
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

TIME = Axis("time", Size.symbol("time"), "time")
STEP_NUMBER = Value("n", Type((), "int"))


def drive(
    module: Module,
    record: Sequence[str] = (),
    final: Sequence[str] = (),
    name: str = "rollout",
    *,
    resumed: bool = False,
) -> Module:
    """Adds the function `name`: from the initial state over `time` steps.

    `record`: states after each step, outputs of them, and the step's own lets; given as `NAME` with the axis time.
    `final`: states and outputs after the last step (the initial ones where time has no step), given as `NAME[time = end]`.
    Running buffers that `init`, `step` or `output` renew are given under their own names, renewed once a run: those of a
    step by its first one, since what stands in the equations and is normalised does not change with the state.
    `resumed`: the run goes on from states that are given as inputs under their names, after `n` steps.
    Raises: KeyError for a name that no function gives.
    """
    functions = module.functions
    init, step, output = functions["init"], functions["step"], functions.get("output")
    states = {state.value.name: state.value for state in module.states}
    functions_read = [function for function in (init, step, output) if function is not None]
    inputs = _outer_inputs(module, functions_read[1:] if resumed else functions_read, states)
    if resumed:
        inputs = (*inputs, *states.values(), STEP_NUMBER)
    build = Builder(Names(value.name for value in inputs))
    outer = {value.name: value for value in inputs}
    started = outer if resumed else inline(build, init, outer)
    begin = {name: started[name] for name in states}
    renewed = {buffer.value.name: None for buffer in module.buffers if buffer.role == "running"}
    running = {name: value for name, value in started.items() if name in renewed and not resumed}
    in_step = [name for name in step.output_names if name in renewed and not resumed]
    if in_step:
        first = inline(
            build,
            step,
            {**outer, **begin, "n": build.one(Const(0, "int"), hint="n")} | _first_frames(build, module, outer),
        )
        running |= {name: first[name] for name in in_step}

    stacked, ends = _loop(build, module, step, output, outer, begin, tuple(dict.fromkeys(record)))
    results: dict[str, Value] = dict(stacked)
    after: dict[str, Value] | None = None
    for name_ in dict.fromkeys(final):
        if name_ in ends:
            results[f"{name_}[time = end]"] = ends[name_]
            continue
        if after is None:
            after = inline(build, _required(output, name_), {**outer, **ends})
        results[f"{name_}[time = end]"] = after[name_]
    if after is not None and not resumed:
        running |= {name: value for name, value in after.items() if name in renewed}
    results |= running
    function = build.function(name, inputs, results.values(), results.keys())
    return module.with_functions(**{name: function})


def _loop(
    build: Builder,
    module: Module,
    step: Function,
    output: Function | None,
    outer: dict[str, Value],
    begin: dict[str, Value],
    record: tuple[str, ...],
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The scan: recordings by name, and the states at the end."""
    streams = {entry.value.name for entry in module.inputs if entry.stream}
    from_output = [name for name in record if name not in begin and name not in step.output_names]
    read = {value.name: value for value in step.inputs}
    if from_output:
        read |= {value.name: value for value in _required(output, from_output[0]).inputs}
    constant = [name for name in read if name not in begin and name != "n" and name not in streams]
    streamed = [name for name in read if name in streams]

    inner = Builder(build.names)
    inside = {
        name: Value(build.names.fresh(name), value.type)
        for name, value in read.items()
        if name in constant or name in streamed
    }
    inside |= {name: Value(build.names.fresh(name), value.type) for name, value in begin.items()}
    number = Value(build.names.fresh("n"), Const(0, "int").rule()[0])
    stepped = inline(inner, step, {**inside, "n": number})
    following = {name: stepped[name] for name in begin}
    shown = {**stepped}
    if from_output:
        shown |= inline(inner, _required(output, from_output[0]), {**inside, **following})
    next_number = inner.one(Add(), number, inner.one(Const(1, "int")), hint="n")
    body = Function(
        build.names.fresh("step"),
        (
            *(inside[name] for name in constant),
            *(inside[name] for name in begin),
            number,
            *(inside[name] for name in streamed),
        ),
        tuple(inner.lines),
        (*following.values(), next_number, *(shown[name] for name in record)),
        (*(f"carry:{name}" for name in begin), "carry:n", *(f"stack:{name}" for name in record)),
    )
    scan = Scan(body, len(constant), len(begin) + 1, len(streamed), len(record), 0, TIME)
    first = outer[STEP_NUMBER.name] if STEP_NUMBER.name in outer else build.one(Const(0, "int"), hint="n")
    results = build.emit(
        scan, *(outer[n] for n in constant), *begin.values(), first, *(outer[n] for n in streamed), hint="end"
    )
    ends = dict(zip(begin, results, strict=False))
    return dict(zip(record, results[len(begin) + 1 :], strict=True)), ends


def _first_frames(build: Builder, module: Module, outer: dict[str, Value]) -> dict[str, Value]:
    """Streamed inputs at the first step."""
    streams = [entry.value.name for entry in module.inputs if entry.stream and entry.value.name in outer]
    return {name: build.one(Index(TIME.name, Size.of(0)), outer[name]) for name in streams}


def _outer_inputs(module: Module, functions: Sequence[Function], states: dict[str, Value]) -> tuple[Value, ...]:
    streams = {entry.value.name for entry in module.inputs if entry.stream}
    found: dict[str, Value] = {}
    for function in functions:
        for value in function.inputs:
            if value.name in states or value.name == "n":
                continue
            streamed = value.name in streams
            found.setdefault(
                value.name, Value(value.name, value.type.with_axes((*value.type.axes, TIME))) if streamed else value
            )
    return tuple(found.values())


def _required(output: Function | None, name: str) -> Function:
    if output is None or name not in output.output_names:
        raise KeyError(name)
    return output
