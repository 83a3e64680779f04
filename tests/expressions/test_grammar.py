"""The tables of a grammar are computed once and kept; what is kept can be wrong, cut or missing without harm."""

from pathlib import Path

import pytest
from lark import Lark

import cortexspec.expressions
from cortexspec.expressions.grammar import cache_folder, open_grammar

GRAMMAR = Path(cortexspec.expressions.__path__[0]) / "expression.lark"
TEXT = "where(a > 2 mV, [1, x'^2] @ W, V.ss.v[region = 1])"


def opened() -> Lark:
    return open_grammar(GRAMMAR, "expr")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder()


def test_kept_tables_read_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = opened().parse(TEXT)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(Lark, "open", lambda *_, **__: pytest.fail("computed again"))
    assert opened().parse(TEXT) == computed


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xfb\x01\x00\x00\x00"])
def test_a_file_that_is_cut_or_foreign_is_computed_again(cache: Path, content: bytes) -> None:
    computed = opened().parse(TEXT)
    (kept,) = cache.iterdir()
    good = kept.read_bytes()
    for bad in (content, good[: len(good) // 2]):
        kept.write_bytes(bad)
        assert opened().parse(TEXT) == computed
        assert kept.read_bytes() != bad


def test_a_folder_that_cannot_be_written_does_no_harm(cache: Path) -> None:
    cache.write_text("a file where the folder would be")
    assert opened().parse(TEXT).data == "call"
