"""The one command. It finds the project it is started in and calls its flows.

Heavy modules are imported inside the commands that need them: ``hardgate --help`` is immediate.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardgate import errors, spelling, telemetry
from hardgate.errors import HardgateError, ParamsError

if TYPE_CHECKING:
    from rich.console import Console

    from hardgate.comparison import Comparison
    from hardgate.drill.result import Drill
    from hardgate.evidence.verification import Check
    from hardgate.records import Decision, Finding
    from hardgate.supply_chain.doctor import Item
    from tasks._measuring import Measured

INTERRUPTED = 130
STOPPED = "stopped; the same command goes on from where it was"

app = typer.Typer(
    help="Harden models, and let none into production without proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model of params.yaml, such as credit.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the record alone, as JSON.")]


@app.command()
def harden(
    model: Model,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "-S",
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Change a value of params.yaml, as 'dvc exp run -S' does. May be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take a model's raw data to a signed decision and a registered version.

    Exit status: 0 promotable, 1 refused, 2 wrong usage or params, 3 could not be completed.
    """
    from hardgate import params_file, progress, state, terminal

    with _project():
        params_file.check_model(model)
        from hardgate import params

        params.check_overrides(model, override or [])  # before what takes seconds to import
        from flows import _api
        from hardgate.server import control

        control.join()
        with (
            state.exclusive(model),
            terminal.shown(),
            progress.interruptible(),
            _api.running() as api,
        ):
            from flows.harden import harden as run
            from tasks import _registry

            params.override(model, override or [])
            _registry.check()  # its library takes seconds to import, while Prefect's API starts
            api.wait()
            decision = run(model)
    if json:
        sys.stdout.write(decision.model_dump_json(indent=2) + "\n")
    else:
        _print_decision(decision)
    raise typer.Exit(0 if decision.promoted else 1)


@app.command()
def measure(
    model: Model,
    risk: Annotated[
        str, typer.Argument(metavar="RISK", help="As evaluation.risks names it, or fairness.")
    ],
    json: Json = False,
) -> None:
    """Measure one risk of the last candidate alone, and say what its gates would.

    Exit status: 0 they would pass, 1 not. Nothing is registered or written.
    """
    from hardgate import params_file, progress, terminal

    with _project():
        params_file.check_model(model)
        from tasks import _measuring

        with terminal.shown(), progress.interruptible():
            found = _measuring.measure(model, risk)
    if json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        _print_measured(found)
    raise typer.Exit(found.exit_code)


@app.command()
def compare(model: Model, json: Json = False) -> None:
    """Measure a grid of architectures and recipes, and show which of them no other beats.

    Exit status: 0 one or more are promotable, 1 gates refuse all, 2 wrong usage or params, 3 some
    could not be measured. Nothing is registered, and the workspace stays as it is.
    """
    from hardgate import params_file, progress, terminal

    with _project():
        params_file.check_model(model)
        from tasks import _comparing

        with terminal.shown(), progress.interruptible():
            found, page = _comparing.compare(model)
    if json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        _print_comparison(found, page)
    raise typer.Exit(found.exit_code)


@app.command()
def verify(
    subject: Annotated[
        str, typer.Argument(metavar="MODEL[/VERSION|@ALIAS]", help="Such as credit or credit/3.")
    ],
    sample: Annotated[
        int, typer.Option(help="Also run this many random per-sample outcomes again.", min=0)
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(help="Draw the same samples again; else they are drawn afresh.")
    ] = None,
    json: Json = False,
) -> None:
    """Check the evidence of a version, offline, as a numbered list. Exit status: 0 holds, 1 not."""
    with _project():
        from hardgate.server import control
        from tasks import _verification

        control.join()
        checks = _verification.verify(subject, sample=sample, seed=seed)
    if json:
        _print_json([check.model_dump(mode="json") for check in checks])
    else:
        _print_checks(checks)
    raise typer.Exit(0 if all(check.passed for check in checks) else 1)


@app.command()
def waive(
    subject: Annotated[
        str, typer.Argument(metavar="MODEL[/VERSION|@ALIAS]", help="Such as credit or credit/3.")
    ],
    gate: Annotated[str, typer.Argument(metavar="GATE", help="As the decision names it.")],
    reason: Annotated[str, typer.Option(help="Why the model may be used all the same.")],
    days: Annotated[int, typer.Option(help="How long the exception holds.")] = 30,
    by: Annotated[
        str | None, typer.Option(help="Who excuses; the user of this machine if not given.")
    ] = None,
) -> None:
    """Excuse one gate that refused a version: signed, for these bytes alone, and for a time.

    A release manager still has to approve. Who submitted the version cannot excuse it.
    """
    with _project():
        from hardgate.server import control
        from tasks import _waiving

        control.join()
        made, path = _waiving.waive(subject, gate, reason=reason, days=days, by=by)
    sys.stdout.write(f"waived {made}\nwritten to {os.path.relpath(path)}\n")


@app.command()
def report(
    model: Model,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Write the HTML report of the last run again, and open it."""
    with _project():
        from tasks import _reporting

        path = _reporting.rewrite(model)
    sys.stdout.write(f"{path}\n")
    if show and sys.stdout.isatty():
        typer.launch(str(path))


@app.command()
def suite(
    model: Model,
    force: Annotated[bool, typer.Option(help="Replace a suite that is there already.")] = False,
) -> None:
    """Draft an expectation suite from the data, for a person to edit."""
    with _project():
        from tasks import _drafting

        path = _drafting.write(model, force=force)
    sys.stdout.write(f"{path}: read it, and correct what the data cannot know\n")


@app.command()
def keys(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Outside the repository; made if not there.")
    ],
) -> None:
    """Make an age identity and a key for pseudonyms, each in a file for their owner alone."""
    from hardgate import protection, pseudonyms

    identity, secret = folder / "identity.txt", folder / "pseudonyms.key"
    public = protection.make_identity(identity)
    pseudonyms.make_key(secret)
    sys.stdout.write(
        f"{folder} holds two keys; keep a copy where you keep what must not be lost\n"
        f"export {protection.IDENTITY}={identity.resolve()}\n"
        f"export {pseudonyms.KEY}={secret.resolve()}\n"
        f"encrypt for: {public}\n"
    )


@app.command()
def protect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A raw file, below data/MODEL.")],
    to: Annotated[list[str], typer.Option(help="Who may read it: age1... May be repeated.")],
) -> None:
    """Encrypt a raw file in the age format, beside it, and print what to put in params.yaml."""
    from hardgate import protection, provenance

    made = protection.protect(file, to)
    sys.stdout.write(
        f"written to {made}; in params.yaml:\n  dataset:\n    path: {made.as_posix()}\n"
        f"    sha256: {provenance.sha256_file(made)}\n    encrypt_to: [{', '.join(to)}]\n"
        f"{file} still lies there in the clear: delete it when the other opens\n"
    )


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background.")] = False,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://...; SQLite if not given.")
    ] = None,
    artifacts_url: Annotated[
        str | None, typer.Option(metavar="URL", help="s3://...; a folder here if not given.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    mlflow_port: Annotated[int | None, typer.Option(help="5000, if not given.")] = None,
    prefect_port: Annotated[int | None, typer.Option(help="4200, if not given.")] = None,
    webhook_port: Annotated[int | None, typer.Option(help="4300, if not given.")] = None,
) -> None:
    """Start the gated registry, Prefect, a worker and the release watcher on this machine.

    What is given is remembered for the next start. Ctrl-C or hardgate down ends them all.
    """
    with _project():
        from hardgate.server import control, settings

        known = settings.changed(
            host=host,
            mlflow_port=mlflow_port,
            prefect_port=prefect_port,
            webhook_port=webhook_port,
            database_url=database_url,
            artifacts_url=artifacts_url,
            sso=settings.provider(),
        )
        if detach:
            control.detach(known, _say)
        else:
            control.run(known, _say)


@app.command()
def down() -> None:
    """End what hardgate up started."""
    with _project():
        from hardgate.server import control

        control.end(_say)


@app.command()
def doctor(
    update: Annotated[
        bool, typer.Option("--update", help="First bring a new snapshot of advisories.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL|PATH",
            help="Where from: an OSV server, or a folder or zip of OSV's files. Else OSV's own.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Look at the installation, the keys and the state folder, as a checklist.

    Exit status: 0 all is well, 1 something was found. An update tells an OSV server the names of
    the installed packages; nothing else speaks to anybody.
    """
    from hardgate import state
    from hardgate.supply_chain import doctor as examination

    with _project():
        if update:
            _update_advisories(source)
        elif source is not None:
            raise ParamsError("--source says where an update comes from; add --update")
        items = examination.examine(Path(), home=state.location())
    if json:
        _print_json([item.model_dump(mode="json") | {"passed": item.passed} for item in items])
    else:
        _print_items(items)
    raise typer.Exit(0 if all(item.passed for item in items) else 1)


def _update_advisories(source: str | None) -> None:
    from datetime import UTC, datetime

    from hardgate.supply_chain import installation, updating

    versions = installation.read().versions
    made = updating.update(source or updating.SERVER, versions, today=datetime.now(UTC).date())
    sys.stderr.write(
        f"{len(made.advisories)} advisories on {len(versions)} packages, as of {made.as_of}\n"
    )


drills = typer.Typer(help="Try whether what should refuse does.", no_args_is_help=True)
app.add_typer(drills, name="drill")


@drills.command("gates")
def drill_gates(
    case: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Take bad candidates through the real pipeline; each must be refused by who should.

    Good ones must pass. Exit status: 0 all were treated as they should, 1 not, 3 the drill ended
    early. Runs in projects of its own; nothing here changes but the result that reports show.
    """
    from hardgate import progress, terminal

    with _project():
        from tasks import _drilling

        with terminal.shown(), progress.interruptible():
            found = _drilling.drill(tuple(case or ()))
    if json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        _print_drill(found)
    raise typer.Exit(found.exit_code)


users = typer.Typer(help="Users of the registry.", no_args_is_help=True)
app.add_typer(users, name="user")


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[str, typer.Option(help="data-scientist, release-manager or gate-service.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add a user with a role, or change the role and password of one."""
    with _project():
        from hardgate.server import services

        if password_stdin:
            password = sys.stdin.readline().rstrip("\n")
        else:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        services.add_user(name, password, role)
    sys.stdout.write(f"{name} is a {role} now\n")


@users.command("remove")
def remove_user(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Take a user's access and role away."""
    with _project():
        from hardgate.server import services

        services.remove_user(name)
    sys.stdout.write(f"{name} is removed\n")


@app.command()
def audit(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]")] = None,
    json: Json = False,
) -> None:
    """Print the registry's audit, after its chain was found unbroken. --json exports it whole.

    Exit status: 0, or 3 when the chain is broken or no registry was set up here.
    """
    with _project():
        from hardgate.server import control

        entries = [entry for entry in control.audit() if model in (None, entry.model)]
    if json:
        _print_json([entry.model_dump(mode="json") | {"sha256": entry.sha256} for entry in entries])
        return
    for entry in entries:
        verdict = "" if entry.allowed else " refused:"
        version = f"/{entry.version}" if entry.version else ""
        waived = f" waived: {'; '.join(entry.waived)}" if entry.waived else ""
        line = (
            f"{entry.number:5} {entry.at:%Y-%m-%d %H:%M:%S} {entry.by} {entry.action} "
            f"{entry.model}{version} {entry.target}{verdict} {entry.words}{waived}"
        )
        sys.stdout.write(f"{spelling.visible(line)}\n")
    sys.stdout.write(f"{len(entries)} entries, the chain holds\n")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


@contextmanager
def _project() -> Iterator[None]:
    """Work in the root of the project that the command was started in or below."""
    start = Path.cwd()
    for root in (start, *start.parents):
        if (root / "params.yaml").is_file() and (root / "flows").is_dir():
            break
    else:
        raise ParamsError(f"{start} is in no project: no folder above it has params.yaml and flows")
    os.chdir(root)
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        os.chdir(start)


def _print_measured(found: Measured) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("measurement", overflow="fold")
    for heading in ("value", "95 % interval", "samples"):
        table.add_column(heading, justify="right")
    for name, seen in found.measurements.items():
        interval = f"{_number(seen.lower, 3)} to {_number(seen.upper, 3)}"
        table.add_row(name, _number(seen.value, 4), interval, f"{seen.samples:,}")
    console.print(table)
    for remark in found.remarks:
        console.print(remark, highlight=False)
    if found.findings:
        _print_findings(console, found.findings)


def _number(value: float, digits: int) -> str:
    """Say a number in so many digits; counts and dates are said whole."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.{digits}g}"


def _print_findings(console: Console, findings: Sequence[Finding]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("gate", "verdict", "measured", "95 % interval", "to pass"):
        numeric = heading in {"measured", "95 % interval"}
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for finding in findings:
        seen = finding.observed
        table.add_row(
            finding.gate,
            finding.verdict.value,
            _number(seen.value, 4) if seen else "-",
            f"{_number(seen.lower, 3)} to {_number(seen.upper, 3)}" if seen else "-",
            finding.condition.partition(" (")[0],  # why the bound is what it is stands below
            style=None if finding.verdict.value == "passed" else "red",
        )
    console.print(table)


def _print_decision(decision: Decision) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    _print_findings(console, decision.findings)
    for finding in () if decision.objections else decision.findings:
        if finding.verdict.value != "passed":
            console.print(f"{finding.gate}: {finding.message}", highlight=False)
    for objection in decision.objections:
        rows = ", ".join(str(row) for row in objection.rows) or "the whole table"
        console.print(
            f"{objection.expectation} on {objection.column or 'the table'}, rows {rows}: "
            f"{objection.reason}",
            highlight=False,
        )
    verdict = "promotable" if decision.promoted else "refused"
    name = f"{decision.model}/{decision.version}" if decision.version else decision.model
    console.print(f"[bold]{name}: {verdict}[/bold]", highlight=False)
    if decision.report is not None:
        console.print(f"report: {decision.report}", highlight=False, soft_wrap=True)


def _print_comparison(found: Comparison, page: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(box=box.SIMPLE, pad_edge=False)
    numbers = (
        *(f"clean {found.metric}", "attacked", "proven", "unequal", "epsilon"),
        *("training", "passes", "answer"),
    )
    table.add_column("")
    table.add_column("candidate", overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right")
    table.add_column("gates", overflow="fold")
    for row in found.candidates:
        refused = row.refused_by
        table.add_row(
            "*" if row.name in found.frontier else "",
            row.name,
            f"{row.clean.value:.3f}",
            f"{row.robust.value:.3f}",
            f"{row.certified.value:.3f}" if row.certified else "-",
            f"{row.unequal.value:.3f}" if row.unequal else "-",
            f"{row.epsilon.value:.3f}" if row.epsilon else "-",
            f"{row.seconds:.1f} s",
            str(row.passes),
            f"{row.microseconds:.3g} us",
            "promotable" if refused is None else f"{refused.verdict.value} {refused.gate}",
            style=None if row.name in found.frontier else "dim",
        )
    console.print(table)
    for failed in found.failed:
        console.print(f"{failed.name}: {failed.reason}", style="red", highlight=False)
    console.print("* no other candidate is as good in every column and better in one")
    for row in found.candidates:
        if row.name in found.frontier:
            console.print(f"{row.name}: dvc exp apply {row.experiment}", highlight=False)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _print_drill(found: Drill) -> None:
    for each in found.outcomes:
        verdict = "ok    " if each.right else "WRONG "
        if each.right:
            words = each.expected or "passed"
        else:
            words = f"expected {each.expected or 'to pass'}, found " + (
                "; ".join(each.refused_by) or "that it passed"
            )
        sys.stdout.write(f"{verdict} {each.name:24} {each.seconds:5.0f} s  {words}\n")
    sys.stdout.write(f"{found}; score {found.score:.0%}, {found.seconds:.0f} s\n")


def _print_checks(checks: tuple[Check, ...]) -> None:
    for number, check in enumerate(checks, start=1):
        sys.stdout.write(
            f"{number:2}. {'ok    ' if check.passed else 'FAILED'} {check.name}: {check.words}\n"
        )
    failed = sum(not check.passed for check in checks)
    sys.stdout.write(
        f"{len(checks)} checks, all hold\n" if not failed else f"{failed} of {len(checks)} fail\n"
    )


def _print_items(items: Sequence[Item]) -> None:
    for item in items:
        sys.stdout.write(f"{'ok   ' if item.passed else 'FOUND'} {item.name}: {item.words}\n")
        for words in item.found:
            sys.stdout.write(f"      {spelling.visible(words)}\n")
    found = sum(len(item.found) for item in items)
    sys.stdout.write(f"{len(items)} looked at, {found or 'nothing'} found\n")


def _print_json(plain: object) -> None:
    import json

    sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def main() -> None:
    """Run the command; errors become one line on standard error and their exit status."""
    # Threads that wait must sleep, or they take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    telemetry.silence()  # each library looks when it is imported
    try:
        app()
    except HardgateError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(STOPPED, INTERRUPTED)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:  # what typer makes of Ctrl-C
            _fail(STOPPED, INTERRUPTED)
        raise
    except Exception as error:  # noqa: BLE001  exit status 1 would mean that gates refused
        words = errors.in_words(error)
        if words is None:
            traceback.print_exception(error)
            words = "this is a mistake in hardgate; please report the lines above"
        _fail(words, HardgateError.exit_code)


def _fail(message: str, status: int) -> None:
    sys.stderr.write(f"hardgate: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
