"""How errors read: the same diagnostic in the terminal, the notebook and as data."""

import io
import json

import pytest

from cortexspec.diagnostics import Diagnostic, Note, Span, SpecError
from cortexspec.diagnostics.layout import WIDEST, in_reading_order, printable
from cortexspec.diagnostics.render_html import render_html
from cortexspec.diagnostics.render_json import render_json
from cortexspec.diagnostics.render_text import count, print_diagnostics, render_text

MODEL = "specs/balanced/model.cortex"
NEURON = "cortexspec_lif/lif.cortex"
SOURCES = {
    MODEL: "\n" * 30 + "  population exc[400] : lif(τ_m = 20 mV)\n",
    NEURON: "\nneuron lif {\n  param τ_m = 10 ms, θ = 15 mV, v_reset = 0 mV, τ_ref = 2 ms\n}\n",
}
CLASH = Diagnostic(
    "CS401",
    "`τ_m` of `lif` is a time, but it is given a voltage",
    Span(MODEL, 31, 35, 31, 40),
    label="expected ms, found mV",
    help="write `20 ms`",
    notes=(Note("declared here, in ms", Span(NEURON, 3, 9, 3, 20)),),
)


def test_the_terminal_look() -> None:
    assert render_text([CLASH], SOURCES) == (
        "error[CS401 unit-mismatch]: `τ_m` of `lif` is a time, but it is given a voltage\n"
        "  --> specs/balanced/model.cortex:31:35\n"
        "31 |   population exc[400] : lif(τ_m = 20 mV)\n"
        "   |                                   ^^^^^ expected ms, found mV\n"
        "  --> cortexspec_lif/lif.cortex:3:9\n"
        " 3 |   param τ_m = 10 ms, θ = 15 mV, v_reset = 0 mV, τ_ref = 2 ms\n"
        "   |         ----------- declared here, in ms\n"
        "help: write `20 ms`         more: cortexspec explain CS401"
    )


def test_a_warning_without_help_and_a_note_without_place() -> None:
    diagnostic = Diagnostic("CS401", "odd", Span("a", 1, 1, 1, 2), notes=(Note("because of this"),), severity="warning")
    assert render_text([diagnostic], {"a": "x"}) == (
        "warning[CS401 unit-mismatch]: odd\n"
        "  --> a:1:1\n"
        "1 | x\n"
        "  | ^\n"
        "note: because of this\n"
        "more: cortexspec explain CS401"
    )


def test_without_the_source_the_label_still_shows() -> None:
    text = render_text([CLASH], {})
    assert "  --> specs/balanced/model.cortex:31:35\n   = expected ms, found mV\n" in text


def test_without_a_place() -> None:
    assert render_text([Diagnostic("CS802", "no backend `foo`", label="there are jax and torch")], {}) == (
        "error[CS802 missing-backend]: no backend `foo`\n  = there are jax and torch\nmore: cortexspec explain CS802"
    )


def test_a_code_nobody_knows_does_not_crash() -> None:
    assert render_text([Diagnostic("CS999", "?")], {}).startswith("error[CS999]: ?\n")


def marked(source: str, span: Span) -> tuple[str, str]:
    lines = render_text([Diagnostic("CS101", "m", span)], {span.source: source}).split("\n")
    return lines[2], lines[3]


def test_tabs_wide_and_combining_letters_keep_the_mark_in_place() -> None:
    assert marked("\tx = y", Span("a", 1, 6, 1, 7)) == ("1 |     x = y", "  |         ^")
    assert marked("日本 = y", Span("a", 1, 6, 1, 7)) == ("1 | 日本 = y", "  |        ^")
    assert marked("v\u0307 = y", Span("a", 1, 6, 1, 7)) == ("1 | v\u0307 = y", "  |     ^")


def test_a_place_past_the_end_of_line_or_file() -> None:
    assert marked("neuron n {", Span("a", 1, 11, 1, 11)) == ("1 | neuron n {", "  |           ^")
    assert marked("neuron n {\n", Span("a", 2, 1, 2, 1)) == ("2 |", "  | ^")
    assert marked("x", Span("a", 7, 3, 7, 5)) == ("7 |", "  | ^")


def test_several_lines_mark_the_first_to_its_end() -> None:
    span = Span("a", 1, 3, 3, 2)
    assert marked("a {b\n c\n}\n", span) == ("1 | a {b", "  |   ^^ (to line 3)")


def test_a_huge_line_is_cut_around_its_mark() -> None:
    source = "a" * 100_000 + "HERE" + "b" * 100_000
    line, mark = marked(source, Span("a", 1, 100_001, 1, 100_005))
    assert len(line) < WIDEST + 10
    assert line[mark.index("^") : mark.rindex("^") + 1] == "HERE"


def test_a_file_cannot_steer_the_terminal() -> None:
    hostile = "x \x1b[2J\u202e y"
    text = render_text([Diagnostic("CS101", hostile, Span("a\x07", 1, 1, 1, 2), hostile, hostile)], {"a\x07": hostile})
    assert not any(letter in text for letter in "\x1b\u202e\x07")
    assert printable("τ_m → ẍ") == "τ_m → ẍ"


def test_reading_order_and_repeats() -> None:
    def at(source: str, line: int) -> Diagnostic:
        return Diagnostic("CS101", "m", Span(source, line, 1, line, 2))

    nowhere = Diagnostic("CS901", "m")
    given = [nowhere, at("b", 9), at("a", 2), at("b", 1), at("b", 9)]
    assert in_reading_order(given) == [at("b", 1), at("b", 9), at("a", 2), nowhere]


def test_counting() -> None:
    warning = Diagnostic("CS101", "w", severity="warning")
    assert count([]) == "no mistakes"
    assert count([CLASH]) == "1 error"
    assert count([CLASH, Diagnostic("CS101", "b"), warning]) == "2 errors, 1 warning"


def test_colours_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    print_diagnostics([CLASH, Diagnostic("CS802", "m")], SOURCES, stream)
    assert stream.getvalue() == render_text([CLASH, Diagnostic("CS802", "m")], SOURCES) + "\n"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    print_diagnostics([CLASH], SOURCES, stream)
    assert "\x1b[1;31merror[CS401 unit-mismatch]\x1b[0m" in stream.getvalue()


def test_a_message_is_never_read_as_markup() -> None:
    stream = io.StringIO()
    print_diagnostics([Diagnostic("CS101", "found [bold] and [/x]")], {}, stream)
    assert "found [bold] and [/x]" in stream.getvalue()


def test_html_escapes_and_marks() -> None:
    page = render_html([CLASH, Diagnostic("CS101", "<script>")], SOURCES)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert ">error[CS401 unit-mismatch]</span>" in page
    assert page.count("<pre>") == 2


def test_json_says_everything() -> None:
    [data] = json.loads(json.dumps(render_json([CLASH])))
    assert data == {
        "code": "CS401",
        "slug": "unit-mismatch",
        "severity": "error",
        "message": CLASH.message,
        "span": {"source": MODEL, "line": 31, "column": 35, "end_line": 31, "end_column": 40},
        "label": "expected ms, found mV",
        "help": "write `20 ms`",
        "notes": [
            {
                "text": "declared here, in ms",
                "span": {"source": NEURON, "line": 3, "column": 9, "end_line": 3, "end_column": 20},
            }
        ],
    }
    assert render_json([Diagnostic("CS901", "m")])[0]["span"] is None


def test_the_exception_reads_the_same() -> None:
    assert str(SpecError([CLASH], SOURCES)) == render_text([CLASH], SOURCES)
