"""Broken specs by the thousand: `python -m tests.fuzz.mutate --count 20000`.

Each case is a few items of a model of `specs/`, mutated: characters and tokens deleted, doubled, swapped or replaced,
lines moved, the end cut off, brackets nested. Reading and checking it must end, quickly, with a Spec or with
diagnostics that lie inside the text and have a code; never with another exception. What parses must print, format and
parse back to the same Spec. A case depends on `--seed` and its number alone: `--only N` runs one again.
"""

import argparse
import random
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cortexspec.analysis.elaborate import check
from cortexspec.diagnostics import CODES, Diagnostic, SpecError
from cortexspec.language.format import format_text
from cortexspec.language.parse import parse_spec
from cortexspec.language.print_spec import print_spec

SPECS = Path(__file__).parents[2] / "specs"
SLOWEST = 30  # seconds of a case, on a busy machine

_TOKEN = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*|\w+|<-|->|==|\.\.|[ \t]+|\n|.', re.DOTALL)
_NASTY = (
    "{", "}", "(", ")", "[", "]", ",", ";", ":", "=", "==", "<-", "->", "~", "'", '"', '"""', "#", "..", ".", "*", "^",
    "@", "-", "not", "in", "for", "per", "every", "trainable", "param", "neuron", "experiment", "5 mV", "5", "1e999",
    "1..3", "κ²", "\u00a0", "\x00", "\u2028", "\ufeff", "🧠", "\t", "\\", "if", "of", "published", "%", "ms", "_", "-1",
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    number: int
    text: str
    story: str
    hang: bool = False


class TooSlow(BaseException):
    """Raised into whatever hangs; no `except Exception` on the way swallows it."""


def pieces() -> list[list[str]]:
    """The items of every model, a list a model."""
    found: list[list[str]] = []
    for path in sorted(SPECS.glob("*/*.cortex")):
        text = path.read_text("utf-8")
        starts = [match.start() for match in re.finditer(r'^(?:"""|use |[a-z]+ \w+)', text, re.MULTILINE)]
        found.append([text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)])
    return found


def case(number: int, seed: int, models: list[list[str]]) -> str:
    """The text of one case."""
    dice = random.Random(f"{seed} {number}")
    model = dice.choice(models)
    first = dice.randrange(len(model))
    text = "".join(model[first : first + dice.choice((1, 1, 2, 2, 3, len(model) if dice.random() < 0.1 else 4))])
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
        text = dice.choice(_MUTATIONS)(text, dice)
    return text


def _characters(text: str, dice: random.Random) -> str:
    place = dice.randrange(len(text) + 1)
    length = dice.choice((0, 1, 1, 2, 5))
    put = dice.choice(("", "", text[place : place + length] * 2, dice.choice(_NASTY), chr(dice.randrange(32, 1024))))
    return text[:place] + put + text[place + length :]


def _tokens(text: str, dice: random.Random) -> str:
    tokens = _TOKEN.findall(text)
    if not tokens:
        return dice.choice(_NASTY)
    place, other = dice.randrange(len(tokens)), dice.randrange(len(tokens))
    match dice.randrange(5):
        case 0:
            del tokens[place]
        case 1:
            tokens.insert(place, tokens[other])
        case 2:
            tokens[place], tokens[other] = tokens[other], tokens[place]
        case 3:
            tokens[place] = dice.choice(_NASTY)
        case _:
            tokens.insert(place, f" {dice.choice(_NASTY)} ")
    return "".join(tokens)


def _names(text: str, dice: random.Random) -> str:
    """One name for another, everywhere: still a spec, with another meaning."""
    words = re.findall(r"[^\W\d]\w*", text)
    if not words:
        return text
    old, new = dice.choice(words), dice.choice((*words, "v", "t", "dt", "π", "pre"))
    return re.sub(rf"\b{re.escape(old)}\b", new, text)


def _numbers(text: str, dice: random.Random) -> str:
    new = dice.choice(("0", "-1", "1e300", "0.5", "1..3", "[1, 2]", "5 mV", "5 ms", '"text"', "1000000000", "(1 + 2)"))
    found = list(re.finditer(r"[0-9.]+(?:e-?[0-9]+)?(?: [a-zA-Z%/^-]+[0-9]*)?", text))
    if not found:
        return text
    match = dice.choice(found)
    return text[: match.start()] + new + text[match.end() :]


def _lines(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    place, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[place]
        case 1:
            lines.insert(other, lines[place])
        case 2:
            lines[place], lines[other] = lines[other], lines[place]
        case _:
            lines[place : place + 2] = [" ".join(lines[place : place + 2])]
    return "\n".join(lines)


def _cut(text: str, dice: random.Random) -> str:
    place = dice.randrange(len(text) + 1)
    return text[:place] if dice.random() < 0.7 else text[place:]


def _nest(text: str, dice: random.Random) -> str:
    depth = dice.choice((2, 10, 100, 400))
    opening, closing = dice.choice(
        (("(", ")"), ("[", "]"), ("f(", ")"), ("{", "}"), ("-", ""), ("not ", ""), ("x[", "]"))
    )
    place = dice.randrange(len(text) + 1)
    return text[:place] + opening * depth + "1" + closing * dice.choice((depth, depth, depth - 1, 0)) + text[place:]


_MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    _characters, _characters, _tokens, _tokens, _tokens, _names, _numbers, _lines, _cut, _nest,
)  # fmt: skip


def run(text: str) -> Counter[str]:
    """Read and check one text; the codes it was given.

    Raises: whatever should not have been raised, AssertionError where a promise is broken.
    """
    spec, diagnostics = parse_spec(text, "case")
    codes = Counter(one.code for one in diagnostics)
    _assert_well_formed(diagnostics, text)
    if spec is None:
        assert diagnostics, "no spec and no reason"
        return codes
    again, _ = parse_spec(print_spec(spec))
    assert again == spec, "printing changes the spec"
    formatted = format_text(text)
    assert parse_spec(formatted)[0] == spec, "formatting changes the spec"
    assert format_text(formatted) == formatted, "formatting twice is not formatting once"
    found = check(spec)
    _assert_well_formed(found, text)
    return codes + Counter(one.code for one in found)


def _assert_well_formed(diagnostics: Iterable[Diagnostic], text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    found = tuple(diagnostics)
    for one in found:
        assert one.code in CODES, f"the code {one.code} is not registered"
        assert one.message, "a diagnostic without a message"
        if one.span is not None and one.span.source == "case":
            assert 1 <= one.span.line <= lines, f"line {one.span.line} of {lines}: {one}"
            assert one.span.column >= 1, str(one)
    if found:
        assert str(SpecError(found, {"case": text})), "a diagnostic that cannot be shown"


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Stop what takes more processor time: on a busy machine, a case that waits is not slow."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzz(numbers: Iterable[int], seed: int, progress: bool = False) -> tuple[list[Failure], Counter[str]]:
    """Run the cases; what failed, and how often each code came up."""
    models, codes, failures = pieces(), Counter[str](), []
    start = time.monotonic()
    for done, number in enumerate(numbers, 1):
        text = case(number, seed, models)
        try:
            with at_most(SLOWEST):
                codes += run(text) or Counter({"fine": 1})
        except (Exception, TooSlow) as error:
            failures.append(Failure(number, text, traceback.format_exc(limit=-12), isinstance(error, TooSlow)))
            if progress:
                print(f"case {number} failed\n{failures[-1].story}", file=sys.stderr, flush=True)
        if progress and done % 500 == 0:
            rate = done / (time.monotonic() - start)
            print(f"{done} cases, {len(failures)} failures, {rate:.0f} a second", file=sys.stderr, flush=True)
    return failures, codes


def summary(cases: int, seconds: float, failures: list[Failure]) -> str:
    hangs = sum(failure.hang for failure in failures)
    return f"{cases} cases, {seconds:.0f} seconds of one core, {len(failures) - hangs} crashes, {hangs} hangs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case and print its text")
    options = parser.parse_args()
    numbers = range(options.start, options.start + options.count)
    if options.only is not None:
        numbers = range(options.only, options.only + 1)
        print(case(options.only, options.seed, pieces()))
    start = time.process_time()
    failures, codes = fuzz(numbers, options.seed, progress=True)
    print("codes:", ", ".join(f"{code} {count}" for code, count in sorted(codes.items())))
    if failures:
        print("run one again with --only:", *(failure.number for failure in failures[:50]))
    print(summary(len(numbers), time.process_time() - start, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
