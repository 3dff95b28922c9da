"""The one number by which a whole model is shown beside others."""

from __future__ import annotations

from hardgate import measurements, statistics
from hardgate.risks.privacy import membership


def test_the_strongest_attack_is_the_one_that_tells_most_of_what_is_asked():
    weak, strong = (statistics.exact(value, 100) for value in (0.51, 0.6))
    measured = {
        measurements.membership("confidence", "auc"): weak,
        measurements.membership("rmia", "auc"): strong,
        measurements.membership("lira", "tpr_at_1_percent"): statistics.exact(0.9, 100),
        measurements.shadow_membership("lira"): statistics.exact(0.95, 100),
    }
    assert membership.strongest(measured, "auc") == strong
    assert membership.strongest(measured, "tpr_at_0.1_percent") is None
    assert membership.strongest({}, "auc") is None
