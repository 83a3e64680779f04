"""What must hold of a whole circuit, one rule a file. A rule reads the typed circuit and yields diagnostics; it changes nothing."""

from collections.abc import Callable, Iterator

from cortexspec.analysis.rules.changes_once import changes_once
from cortexspec.analysis.rules.crossings_are_smooth import crossings_are_smooth
from cortexspec.analysis.rules.facts import Facts
from cortexspec.analysis.rules.fixed_values import fixed_values
from cortexspec.analysis.rules.impulses_enter_linearly import impulses_enter_linearly
from cortexspec.analysis.rules.inputs_are_connected import inputs_are_connected
from cortexspec.analysis.rules.linear_in_highest import linear_in_highest
from cortexspec.analysis.rules.no_feed_through_loop import no_feed_through_loop
from cortexspec.analysis.rules.no_read_new_cycle import no_read_new_cycle
from cortexspec.analysis.rules.sizes_fit_rules import sizes_fit_rules
from cortexspec.analysis.rules.starts_are_known import starts_are_known
from cortexspec.analysis.rules.synapses_read_where_they_live import synapses_read_where_they_live
from cortexspec.diagnostics import Diagnostic

Rule = Callable[[Facts], Iterator[Diagnostic]]

RULES: tuple[Rule, ...] = (
    linear_in_highest,
    changes_once,
    impulses_enter_linearly,
    crossings_are_smooth,
    inputs_are_connected,
    synapses_read_where_they_live,
    sizes_fit_rules,
    fixed_values,
    starts_are_known,
    no_feed_through_loop,
    no_read_new_cycle,
)

__all__ = ["RULES", "Facts", "Rule"]
