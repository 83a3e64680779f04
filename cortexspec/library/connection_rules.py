"""Which pairs a projection connects. A dense rule needs no drawn wiring and becomes a contraction or an elementwise product."""

from __future__ import annotations

from cortexspec.contracts.connection_rule import ConnectionRule

RULE_SETTINGS = ("autapses", "multapses", "where", "chance")
CONNECTION_RULES: tuple[ConnectionRule, ...] = (
    ConnectionRule("all_to_all", (), ("autapses",), True, "every source to every target"),
    ConnectionRule("one_to_one", (), (), True, "each source to the target at its place"),
    ConnectionRule(
        "bernoulli", ("p",), RULE_SETTINGS, doc="each pair with probability p, which may read pre.A and post.A"
    ),
    ConnectionRule("fixed_indegree", ("K",), RULE_SETTINGS, doc="K sources for every target"),
    ConnectionRule("fixed_outdegree", ("K",), RULE_SETTINGS, doc="K targets for every source"),
    ConnectionRule("fixed_total", ("n",), RULE_SETTINGS, doc="n connections in all"),
    ConnectionRule("from_matrix", ("M",), RULE_SETTINGS, doc="the pairs at which a matrix [target, source] is not 0"),
)

__all__ = ["CONNECTION_RULES", "RULE_SETTINGS", "ConnectionRule"]
