"""Policies: what to measure next as a function of what was measured, learned before the first experiment, and how good they are."""

from quincunx.design.policy.comparison import PolicyComparison, compare_policies
from quincunx.design.policy.policy import Policy
from quincunx.design.policy.rule import RandomDesigns
from quincunx.design.policy.total import total_eig
from quincunx.design.policy.training import train_policy

__all__ = ["Policy", "PolicyComparison", "RandomDesigns", "compare_policies", "total_eig", "train_policy"]
