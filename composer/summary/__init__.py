"""A network as a table: where its parameters, multiply-accumulates and memory are, and what attention adds."""

from composer.summary.breakdown import RuleCost
from composer.summary.cost import Cost
from composer.summary.rows import Row
from composer.summary.summarise import Summary, Table, summarise

__all__ = ["Cost", "Row", "RuleCost", "Summary", "Table", "summarise"]
