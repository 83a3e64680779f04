"""The formatter's form, and what it leaves to the author."""

import pytest

from cortexspec.diagnostics import SpecError
from cortexspec.language.format import WIDTH, format_text


def formatted(text: str) -> str:
    once = format_text(text)
    assert format_text(once) == once
    return once


def test_spacing() -> None:
    text = """
neuron   lif( τ :ms=5ms ,n:int ){
    param a=3mV,b =0.5   per neuron trainable
  input I:mV*ms
      v'+2*κ *v' =  - κ ^2* v/τ+ - 3 mV / x  ;x<-x+1
 spike  when v>θ{v<-0 mV}refractory 2ms surrogate   fast_sigmoid( slope=10 )
}
"""
    assert (
        formatted(text)
        == """neuron lif(τ: ms = 5 ms, n: int) {
  param a = 3 mV, b = 0.5  per neuron trainable
  input I : mV*ms
  v' + 2*κ*v' = -κ^2*v/τ + -3 mV / x; x <- x + 1
  spike when v > θ { v <- 0 mV }  refractory 2 ms  surrogate fast_sigmoid(slope = 10)
}
"""
    )


def test_comments_stay_where_they_are() -> None:
    text = """# head

use a # why
# before the item
neuron n { # opens
  # first

  # second
  param a = 1 # one
  param bbb = 2 # two

  param c = [ # list
    1, # first
    # between
    2
  ]
  # last
} # closed
# tail
"""
    assert (
        formatted(text)
        == """# head

use a  # why

# before the item
neuron n {  # opens
  # first

  # second
  param a = 1    # one
  param bbb = 2  # two

  param c = [  # list
    1,         # first
    # between
    2
  ]
  # last
}  # closed
# tail
"""
    )


def test_tables_get_columns() -> None:
    text = "circuit c {\n let P = [ \n [1,2.25,-3],\n [10, 2,f(x)] ,\n ]\n}\n"
    expected = "circuit c {\n  let P = [\n    [1,  2.25, -3  ],\n    [10, 2,    f(x)],\n  ]\n}\n"
    assert formatted(text) == expected


def test_variants_of_one_line_stand_under_each_other() -> None:
    text = "experiment e of c {\n variant a { x = 1 }\n variant long_name { y = 2 }\n\n variant b { z = 3 }\n}\n"
    expected = "experiment e of c {\n  variant a         { x = 1 }\n  variant long_name { y = 2 }\n\n  variant b { z = 3 }\n}\n"
    assert formatted(text) == expected


def test_a_block_stays_on_its_line_until_it_is_too_wide() -> None:
    short = "experiment e of c {\n  simulate { dt = 1 ms; duration = 3 ms }\n}\n"
    assert formatted(short) == short
    names = [f"quantity_number_{number}" for number in range(8)]
    wide = "experiment e of c { simulate { " + "; ".join(f"{name} = 1" for name in names) + " } }\n"
    lines = formatted(wide).split("\n")
    assert lines[1] == "  simulate {"
    assert lines[2] == "    quantity_number_0 = 1"
    assert max(map(len, lines)) <= WIDTH


def test_long_lists_go_on_under_their_beginning() -> None:
    names = ", ".join(f"parameter_{number} = {number} mV" for number in range(12))
    lines = formatted(f"neuron n {{\n  param {names}\n}}\n").split("\n")
    assert lines[2].startswith("        parameter_")
    assert max(map(len, lines)) <= WIDTH
    call = ", ".join(f"argument_{number}" for number in range(20))
    lines = formatted(f"neuron n {{\n  let y = f({call})\n}}\n").split("\n")
    assert lines[2].startswith("            argument_")


def test_a_slash_behind_a_unit_keeps_its_blanks() -> None:
    assert "5 mV / s + 5 mV/s" in formatted("neuron n { let y = 5 mV / s + 5 mV/s }\n")
    assert "[1] ms / s" in formatted("neuron n { let y = [1] ms / s }\n")
    assert "10 V ^ -1 + 3 mV ^ 2 + 3 mV^k" in formatted("neuron n { let y = 10 V^- 1 + 3 mV ^2 + 3 mV ^ k }\n")


def test_blank_lines() -> None:
    text = "use a\nuse b\nneuron c { }\nneuron d {\n\n\n  state v = 0\n\n\n\n  input I\n\n}\nneuron e { }\n"
    expected = "use a\nuse b\nneuron c { }\n\nneuron d {\n  state v = 0\n\n  input I\n}\n\nneuron e { }\n"
    assert formatted(text) == expected


def test_doc_strings_stay_letter_for_letter() -> None:
    text = '"""File,\n   in two lines.  """\n\n"""A."""\n\nneuron a { }\n"""B."""\nneuron b { }\n'
    expected = '"""File,\n   in two lines.  """\n\n"""A."""\nneuron a { }\n\n"""B."""\nneuron b { }\n'
    assert formatted(text) == expected


def test_nothing_but_comments() -> None:
    assert formatted("") == ""
    assert formatted("\n\n# only\n\n# comments\n") == "# only\n\n# comments\n"
    assert formatted('"""Only a doc."""') == '"""Only a doc."""\n'


def test_what_does_not_parse_is_not_formatted() -> None:
    with pytest.raises(SpecError):
        format_text("neuron {")
