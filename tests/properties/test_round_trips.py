"""Whole specs: to text, JSON and YAML and back; formatting is stable and changes no meaning."""

from hypothesis import HealthCheck, given, settings

from cortexspec.language.format import format_text
from cortexspec.language.parse import parse_spec
from cortexspec.language.print_spec import print_spec
from cortexspec.language.tree import comments_of
from cortexspec.schema.dump import dump_json, dump_yaml
from cortexspec.schema.load import load_json, load_yaml
from cortexspec.schema.placement import misplaced
from cortexspec.schema.spec import Spec
from cortexspec.testing.strategies import specs

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@thorough
@given(specs())
def test_text(spec: Spec) -> None:
    again, diagnostics = parse_spec(print_spec(spec))
    assert diagnostics == ()
    assert again == spec


@thorough
@given(specs())
def test_json(spec: Spec) -> None:
    assert load_json(dump_json(spec)) == (spec, ())


@thorough
@given(specs())
def test_yaml(spec: Spec) -> None:
    assert load_yaml(dump_yaml(spec)) == (spec, ())


@thorough
@given(specs())
def test_printing_is_formatted(spec: Spec) -> None:
    text = print_spec(spec)
    assert format_text(text) == text


@thorough
@given(specs())
def test_drawn_specs_are_well_placed(spec: Spec) -> None:
    assert list(misplaced(spec)) == []


def scatter_comments(text: str, every: int) -> str:
    """A comment behind every so many lines, at the end of a line or on one of its own, where no text or doc goes on."""
    lines = text.split("\n")
    quoted = False
    for index, line in enumerate(lines):
        quoted ^= line.count('"""') % 2 == 1
        if index % every == 0 and not quoted and '"""' not in line and '"' not in line:
            lines[index] = f"{line}  # note {index}" if index % 2 else f"{line}\n    # note {index}"
    return "\n".join(lines)


@thorough
@given(specs())
def test_formatting_keeps_spec_and_comments(spec: Spec) -> None:
    for every in (1, 3):
        text = scatter_comments(print_spec(spec), every)
        written, diagnostics = parse_spec(text)
        if written is None:
            assert diagnostics  # a comment fell into a string with a line break look-alike: not this test's matter
            continue
        formatted = format_text(text)
        assert parse_spec(formatted)[0] == written
        assert [comment.text for comment in comments_of(formatted)] == [comment.text for comment in comments_of(text)]
        assert format_text(formatted) == formatted
