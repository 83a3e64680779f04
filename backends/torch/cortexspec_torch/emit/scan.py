"""The loop in torch: a Python `for`."""

from __future__ import annotations

from dataclasses import dataclass

from cortexspec.contracts.program import Block, Term, Writer, identifier, margin
from cortexspec.ir.module import Value
from cortexspec.ir.ops.scan import Scan
from cortexspec_torch.emit.base import dtype, emit


@emit.register
def scan(op: Scan, write: Writer, *operands: Term) -> None:
    """Consts are read by their outer names. Carries are Python names that the end of the body sets anew.

    Where autograd records, stacks are lists (a write into a slot would be recorded as a copy of the whole stack), and
    xs are unbound in front of the loop (one node of the tape, not one a step).
    """
    if write.fixed(op.over.size) == 0:
        _nothing(op, write, operands)
        return
    loop = _Loop(op, write, write.block, Block(write.block.depth + 1), write.names.fresh("i"), write.results)
    before = dict(write.terms)
    write.block = loop.inner
    loop.enter(operands)
    stacks, sums = loop.open()
    write.lines(op.body.body)
    carried = loop.leave(stacks, sums)
    write.block, write.terms = loop.outer, before
    loop.close(carried, stacks, sums)


@dataclass
class _Loop:
    op: Scan
    write: Writer
    outer: Block
    inner: Block
    step: str
    results: tuple[Value, ...]

    def enter(self, operands: tuple[Term, ...]) -> None:
        """Gives the body's inputs their names: consts, carries, one frame of each x."""
        op, write = self.op, self.write
        consts, carry, xs = op.split(operands)
        inputs = op.split(op.body.inputs)
        for value, term in zip(inputs[0], consts, strict=True):
            write.bind(value, write.same(term, value.type))
        starts = [write.array(term) for term in carry]
        for value, start in zip(inputs[1], starts, strict=True):
            self.outer.add(f"{write.declare(value)} = {start}")
        for value, term in zip(inputs[2], xs, strict=True):
            frames = write.names.fresh(f"{term}_frames")
            self.outer.add(f"{frames} = {term}.unbind({term.axes.index(op.over.name)})")
            write.assign(value, f"{frames}[{self.step}]")

    def open(self) -> tuple[list[str], list[str]]:
        """The empty stacks and sums, in front of the loop."""
        op, write = self.op, self.write
        stacks: list[str] = []
        sums: list[str] = []
        for value, given in zip(self.results[op.carry : op.carry + op.stack], op.body.outputs[op.carry :], strict=False):
            stacks.append(write.names.fresh(f"{identifier(given.name)}_stack"))
            self.outer.add(f"{stacks[-1]} = {'[]' if write.records else _new(write, 'empty', value)}")
        last = op.carry + op.stack
        for value, given in zip(self.results[last:], op.body.outputs[last:], strict=True):
            sums.append(write.names.fresh(f"{identifier(given.name)}_sum"))
            self.outer.add(f"{sums[-1]} = {_new(write, 'zeros', value)}")
        return stacks, sums

    def leave(self, stacks: list[str], sums: list[str]) -> list[str]:
        """The end of the body. Stacks and sums take their values before the carries move on."""
        op, write, inner = self.op, self.write, self.inner
        outputs = [write.array(write.term(value)) for value in op.body.outputs]
        for name, term, value in zip(stacks, outputs[op.carry :], self.results[op.carry :], strict=False):
            slot = ", ".join([*(":" for _ in write.axes(value.type)[: self.place(value)]), self.step])
            inner.add(f"{name}.append({term})" if write.records else f"{name}[{slot}] = {term}")
        for name, term in zip(sums, outputs[op.carry + op.stack :], strict=True):
            inner.add(f"{name} = {name} + {term}" if write.records else f"{name} += {term}")
        carried = [str(write.term(value)) for value in op.body.inputs[op.consts : op.consts + op.carry]]
        moved = [(name, term) for name, term in zip(carried, outputs, strict=False) if name != term]
        if moved:
            inner.add(f"{', '.join(name for name, _ in moved)} = {', '.join(term for _, term in moved)}")
        return carried

    def close(self, carried: list[str], stacks: list[str], sums: list[str]) -> None:
        """The loop itself, and its results under their names."""
        op, write, outer = self.op, self.write, self.outer
        length = write.size(op.over.size)
        outer.add(f"for {self.step} in {f'reversed(range({length}))' if op.reverse else f'range({length})'}:", op.over.name)
        outer.lines += self.inner.lines or [(self.inner.depth, "pass", "")]
        for value, name in zip(self.results, (*carried, *stacks, *sums), strict=True):
            term = Term.of(name, value.type, write.axes(value.type), outer)
            if write.records and name in stacks:
                frames = f"{name}[::-1]" if op.reverse else name
                outer.add(f"{name} = torch.stack({frames}, dim={self.place(value)})", margin(value.type, term.axes))
            write.bind(value, term)

    def place(self, value: Value) -> int:
        return self.write.axes(value.type).index(self.op.over.name)


def _new(write: Writer, how: str, value: Value) -> str:
    return f"torch.{how}({write.shape(value.type)}, dtype={dtype(value.type)}, device=DEVICE)"


def _nothing(op: Scan, write: Writer, operands: tuple[Term, ...]) -> None:
    """A loop of no step: the carry as it came, stacks without a frame, sums of nothing."""
    results = write.results
    _, carry, _ = op.split(operands)
    for value, term in zip(results, carry, strict=False):
        write.bind(value, term)
    for value in results[op.carry :]:
        write.assign(value, _new(write, "zeros", value))
