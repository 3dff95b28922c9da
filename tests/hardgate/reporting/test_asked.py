from __future__ import annotations

from types import ModuleType

from hardgate import measurements, reporting
from hardgate.reporting import asked, figures
from hardgate.reporting.run import Run

ASKED = {
    "attacks": [{"name": "square", "restarts": 1}, {"name": "rays"}],
    "counts": [50, 500],
    "samples": 200,
}


def asking(examples: ModuleType) -> Run:
    plain = examples.image_params().evaluation.model_dump(mode="json")
    params = examples.image_params(evaluation={**plain, "queries": ASKED})
    found = examples.image_measurements()
    for name, left in (("square", (0.91, 0.89)), ("rays", (0.94, 0.92))):
        for count, share in zip(ASKED["counts"], left, strict=True):
            found[measurements.queries(name, count)] = examples.share(share, 200)
    found[measurements.CORRUPTION_MCE] = examples.near(1.14, 0.09, 1000)
    found[measurements.corruption_error("brightness")] = examples.near(5.3, 0.8, 1000)
    found[measurements.corruption_error("fog")] = examples.near(1.1, 0.3, 1000)
    return examples.image_run(params=params, measured=found)


def test_a_query_curve_has_a_line_per_attack_that_says_what_it_sees(examples: ModuleType) -> None:
    run = asking(examples)
    drawn = asked.curve(run)
    assert drawn is not None
    assert drawn.keys == (
        ("attacked", "square, which sees scores"),
        ("other", "rays, which sees the class alone"),
    )
    assert "rays leaves 0.920" in drawn.plot
    assert "after 500 queries" in drawn.plot
    page = reporting.render(run)
    assert "Query curve" in page
    assert "which sees the class alone" in page


def test_without_queries_there_is_no_curve(examples: ModuleType) -> None:
    assert asked.curve(examples.image_run()) is None
    assert "Query curve" not in reporting.render(examples.image_run())


def test_errors_beside_the_twin_name_what_is_clearly_worse(examples: ModuleType) -> None:
    said = figures.beside_twin(asking(examples))
    assert "is 1.140 times the undefended twin's" in said
    assert "clearly worse under brightness (5.3 times)." in said
    assert figures.beside_twin(examples.image_run()) == ""


def test_attacks_that_see_more_than_the_attacker_are_marked(examples: ModuleType) -> None:
    def marks(access: str) -> list[str]:
        plain = examples.image_params().threat.model_dump(mode="json")
        params = examples.image_params(threat={**plain, "access": access})
        (shown, *_) = figures.ladder(examples.image_run(params=params))
        return [entry.name for entry in shown.entries if "sees more" in entry.note]

    assert marks("white-box") == []
    assert marks("score-based") == ["fgsm", "pgd", "apgd-ce", "apgd-t"]
    assert marks("decision-based") == ["fgsm", "pgd", "apgd-ce", "apgd-t", "square"]
