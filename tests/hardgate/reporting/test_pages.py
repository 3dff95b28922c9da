"""A page says everything, decision first, loads nothing and lets nothing through unescaped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.builders.wheel import WheelBuilder

from hardgate import measurements, reporting, statistics
from hardgate.records import Column, Objection, Verdict
from hardgate.reporting import words

ROOT = Path(__file__).parents[3]
VOID = {"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
HOSTILE = "<script>alert(1)</script>\" onload='x' <img src=http://evil.example/a.png>"

Render = Callable[[ModuleType], str]

PAGES: dict[str, Render] = {
    "table passed": lambda ex: reporting.render(ex.table_run()),
    "table refused": lambda ex: reporting.render(
        ex.table_run(measured=ex.table_measurements(robust=False))
    ),
    "images passed": lambda ex: reporting.render(ex.image_run()),
    "images refused": lambda ex: reporting.render(
        ex.image_run(measured=ex.image_measurements(robust=False))
    ),
    "nothing measured": lambda ex: reporting.render(
        replace(ex.table_run(measured={}, plots=[]), history=[])
    ),
    "data refused": lambda ex: reporting.render_refusal(ex.refusal()),
}


class Page(HTMLParser):
    """Reads a page, and complains about what is not closed in the order it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {self.get_starttag_text()}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, examples: ModuleType) -> Page:
    return Page(PAGES[request.param](examples))


def test_a_page_is_html_whose_tags_are_balanced(page: Page) -> None:
    assert page.html.startswith("<!doctype html>\n<html lang=")
    assert [tag for tag, _ in page.tags if tag in {"html", "head", "body", "title", "main", "h1"}]
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))


def test_a_page_loads_nothing_and_runs_nothing(page: Page) -> None:
    forbidden = {"script", "link", "iframe", "object", "embed", "form", "base", "use", "image"}
    assert not forbidden & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:image/") for source in page.attributes("src"))
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert not re.search(r"@import|url\(|https?://", page.html)
    policies = [found["content"] for _, found in page.tags if "http-equiv" in found]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_links_lead_within_the_page_or_to_the_data_docs(page: Page) -> None:
    ids = page.attributes("id")
    for link in page.attributes("href"):
        assert link.removeprefix("#") in ids or link == "../validation/data_docs/index.html"


def test_headings_leave_no_level_out_and_everything_drawn_has_words(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    drawn = [found for tag, found in page.tags if tag == "svg" and found.get("role") == "img"]
    assert drawn
    assert all(found.get("aria-label") for found in drawn)
    assert all("scope" in found for tag, found in page.tags if tag == "th")


@pytest.mark.parametrize("name", PAGES)
def test_the_decision_comes_before_everything(name: str, examples: ModuleType) -> None:
    page = Page(PAGES[name](examples))
    body = page.html.partition("<body>")[2]
    first = Page(body.partition("</header>")[0] + "</header></main>")
    word = {"data refused": "Data refused"}.get(
        name, "Promotable" if name.endswith("passed") else "Refused"
    )
    assert word in first.text
    assert "2026-06-01 12:30 UTC" in first.text
    assert body.index("<header") < body.index("<section")


@pytest.mark.parametrize("name", [name for name in PAGES if name != "data refused"])
def test_every_finding_is_there_with_number_interval_bound_and_message(
    name: str, examples: ModuleType
) -> None:
    run = {
        "table passed": examples.table_run,
        "images passed": examples.image_run,
        "nothing measured": lambda: examples.table_run(measured={}),
        "table refused": lambda: examples.table_run(
            measured=examples.table_measurements(robust=False)
        ),
        "images refused": lambda: examples.image_run(
            measured=examples.image_measurements(robust=False)
        ),
    }[name]()
    text = Page(reporting.render(run)).text
    assert run.decision.findings
    for finding in run.decision.findings:
        assert words.gate(finding.gate) in text
        assert " ".join(finding.message.split()) in text
        assert finding.condition in text
        if finding.observed and finding.observed.interval != "exact":
            assert words.interval(finding.observed) in text
        if finding.observed:
            assert words.value(finding.observed) in text


def test_a_refusing_gate_is_named_in_the_banner_with_the_reason(examples: ModuleType) -> None:
    measured = examples.table_measurements(robust=False)
    del measured["clean/ece"]
    html = reporting.render(examples.table_run(measured=measured))
    banner = Page(html.partition("<main>")[2].partition("</header>")[0] + "</header>").text
    assert "2 of 9 gates said no." in banner
    assert "Robust AUC, worst case 0.481 (0.466 to 0.496), must be at least 0.68." in banner
    assert "Calibration the evidence holds no clean/ece; must be at most 0.15." in banner
    assert "docs/gates.md, Robust AUC" in banner
    assert "Masked gradients" not in banner


def test_a_verdict_is_told_by_words_and_shape_too(examples: ModuleType) -> None:
    measured = examples.table_measurements(robust=False)
    del measured["clean/ece"]
    html = reporting.render(examples.table_run(measured=measured))
    cells = re.findall(r'<td role="cell" class="verdict">(.*?)</td>', html, re.DOTALL)
    shapes: dict[str, set[str]] = {}
    for cell in cells:
        said = Page(f"<td>{cell}</td>").text
        shapes.setdefault(said, set()).add(re.sub(r"\s", "", cell.partition("</svg>")[0]))
    assert set(shapes) == {"Passed", "Failed", "Not measured"}
    assert len(set.union(*shapes.values())) == 3


def hostile_table(examples: ModuleType) -> str:
    spec = examples.table_input()
    evil = Column.model_validate({**spec.columns[-1].model_dump(), "name": HOSTILE})
    spec = spec.model_copy(update={"columns": (*spec.columns, evil), "classes": ("0", HOSTILE)})
    params = examples.table_params()
    threat = params.threat.model_copy(
        update={"columns": {**params.threat.columns, HOSTILE: params.threat.columns["PAY_AMT1"]}}
    )
    measured = {**examples.table_measurements(), **examples.price()}
    for situation in ("clean", "under_attack"):
        name = measurements.group_rate(HOSTILE, situation, HOSTILE, "accuracy", small=False)
        measured[name] = statistics.wilson(70, 100)
    run = examples.table_run(
        params=params.model_copy(update={"threat": threat}),
        spec=spec,
        measured=measured,
        commit=HOSTILE,
        plots=[reporting.Picture(HOSTILE, "data:image/png;base64,AA==")],
    )
    importance = {HOSTILE: 0.9, **run.attributions.importance}
    findings = tuple(
        finding.model_copy(update={"message": HOSTILE, "gate": f"fairness/{HOSTILE}"})
        for finding in run.decision.findings
    )
    return reporting.render(
        replace(
            run,
            attributions=run.attributions.model_copy(update={"importance": importance}),
            decision=run.decision.model_copy(update={"findings": findings, "model": HOSTILE}),
            submitted_by=HOSTILE,
        )
    )


def hostile_refusal(examples: ModuleType) -> str:
    broken = Objection(
        expectation=HOSTILE, column=HOSTILE, count=1, rows=(1,), values=(HOSTILE,), reason=HOSTILE
    )
    return reporting.render_refusal(examples.refusal(objections=(broken,)))


@pytest.mark.parametrize("render", [hostile_table, hostile_refusal])
def test_hostile_words_stay_words(render: Render, examples: ModuleType) -> None:
    page = Page(render(examples))
    assert not {"script"} & {tag for tag, _ in page.tags}
    assert "<script" not in page.html
    assert all(source.startswith("data:image/") for source in page.attributes("src"))
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text


def test_a_table_shows_each_part_that_was_measured(examples: ModuleType) -> None:
    text = Page(reporting.render(examples.table_run())).text
    for part in (
        "Security curve",
        "Groups of people",
        "45 and above",
        "4 samples, too few to be judged",
        "Columns an attacker can move",
        "BILL_AMT2 - PAY_AMT1 <= BILL_AMT1",
        "12 of 16 columns",
        "AUC, clean 0.787 (0.773 to 0.801) 0.776 (0.762 to 0.790) −0.011",
        "Under attack means under constrained-pgd, for both",
        "AUC, under attack 0.480 (0.464 to 0.496) 0.769 (0.754 to 0.784) +0.289",
        "Training time 6.2 s 41 s 6.7 times",
        "12 same as an original",
        "21,600 samples became 24,828",
        "Submitted by ada",
        "58, all kept",
    ):
        assert part in text
    assert "Under corruption" not in text
    assert "In a changed world" not in text


def test_natural_shifts_stand_beside_clean_inputs_the_lowest_first(examples: ModuleType) -> None:
    found = {
        measurements.shift("noise 0.1", "auc"): examples.near(0.770, 0.014, 6000, "delong"),
        measurements.shift("subgroup AGE from 45", "auc"): examples.near(0.775, 0.04, 1100),
        measurements.shift("noise 0.1", "accuracy"): examples.share(0.8, 6000),
        measurements.worst_shift("auc"): examples.near(0.775, 0.04, 1100),
    }
    run = examples.table_run(measured=examples.table_measurements() | found)
    page = Page(reporting.render(run))
    section = page.text.partition("In a changed world")[2].partition("Groups of people")[0]
    last = "noise 0.1 0.770 (0.756 to 0.784) −0.006 6,000"
    assert f"subgroup AGE from 45 0.775 (0.735 to 0.815) −0.001 1,100 {last}" in section
    assert "worst" not in section


def test_combinations_of_columns_are_groups_in_their_own_order_and_gaps_have_signs(
    examples: ModuleType,
) -> None:
    page = Page(reporting.render(examples.table_run()))
    section = page.text.partition("Groups of people")[2]
    combined = section.partition("SEX x AGE")[2].partition("Why it decides")[0]
    places = [
        combined.index(group) for group in ("1, 45 and above", "2, below 30", "2, 45 and above")
    ]
    assert places == sorted(places)
    assert "calibration: 0.060" in combined
    assert "-0.040 (-0.060 to -0.020)" in combined


def test_images_show_the_map_of_corruptions_and_of_regions(examples: ModuleType) -> None:
    page = Page(reporting.render(examples.image_run()))
    assert "Under corruption" in page.text
    assert "Groups of people" not in page.text
    cells = [found for tag, found in page.tags if "--ink-share" in (found.get("style") or "")]
    assert len(cells) == 15 * 5 + 7 * 7
    assert "every pixel, within [0, 1]" in page.text
    assert "76.5 of 255 grey levels" in page.text


def test_a_price_that_was_not_measured_is_not_made_up(examples: ModuleType) -> None:
    text = Page(reporting.render(examples.table_run(measured=examples.table_measurements()))).text
    assert "was not measured: no model of this architecture was trained without defence" in text


def test_all_measurements_are_listed(examples: ModuleType) -> None:
    run = examples.table_run()
    page = reporting.render(run)
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>', page.partition('id="measurements"')[2])
    assert rows == sorted(run.measured)


def test_the_commands_are_those_that_do_it_again(examples: ModuleType) -> None:
    html = reporting.render(examples.table_run())
    commands = re.search(r"<pre[^>]*><code>(.*?)</code>", html, re.DOTALL)
    assert commands is not None
    assert commands[1].splitlines() == [
        f"git checkout {examples.COMMIT}",
        "make setup",
        ".venv/bin/hardgate harden credit",
        ".venv/bin/hardgate verify credit --sample 50",
    ]
    dirty = Page(reporting.render(examples.table_run(commit=examples.COMMIT + "+changes"))).text
    assert f"git checkout {examples.COMMIT} make" in dirty
    assert "changes that are in no commit" in dirty
    unknown = Page(reporting.render(examples.table_run(commit="not under version control"))).text
    assert "git checkout" not in unknown
    assert "under no version control" in unknown


def test_a_refusal_of_data_names_expectation_column_rows_and_values(examples: ModuleType) -> None:
    page = Page(reporting.render_refusal(examples.refusal()))
    for objection in examples.objections():
        assert objection.expectation in page.text
        assert objection.column in page.text
        assert objection.reason in page.text
        assert all(value in page.text for value in objection.values)
        assert all(f" {row} " in page.text for row in objection.rows)
    assert "data/credit/clients.csv.gz" in page.text
    assert "../validation/data_docs/index.html" in page.attributes("href")
    assert page.text.count("Not measured") == len(examples.refusal().decision.findings)
    assert "hardgate verify" not in page.text


def test_what_a_finding_of_an_unknown_gate_says_is_still_shown(examples: ModuleType) -> None:
    run = examples.table_run()
    odd = run.decision.findings[1].model_copy(
        update={"gate": "tomorrow", "verdict": Verdict.FAILED, "condition": "it is tomorrow"}
    )
    decision = run.decision.model_copy(update={"findings": (odd,)})
    text = Page(reporting.render(replace(run, decision=decision))).text
    assert "Tomorrow" in text
    assert "To pass, it is tomorrow." in text
    assert "1 of 1 gate said no." in text


def test_a_page_takes_less_than_half_a_second(examples: ModuleType) -> None:
    run = examples.table_run()
    reporting.render(run)
    started = time.process_time()
    reporting.render(run)
    assert time.process_time() - started < 0.5


def test_the_wheel_carries_the_templates() -> None:
    carried = {
        file.distribution_path.replace("\\", "/")
        for file in WheelBuilder(str(ROOT)).recurse_included_files()
    }
    templates = (ROOT / "hardgate/reporting/templates").iterdir()
    expected = {path.relative_to(ROOT).as_posix() for path in templates}
    assert len(expected) == 7
    assert expected <= carried
