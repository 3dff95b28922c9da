"""The one command. It finds the project it is started in and calls its flows.

Heavy modules are imported inside the commands that need them: ``hardgate --help`` is immediate.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardgate import errors
from hardgate.errors import HardgateError, ParamsError

if TYPE_CHECKING:
    from hardgate.evidence.verification import Check
    from hardgate.records import Decision

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
        from flows import _api

        params_file.check_model(model)
        with (
            state.exclusive(model),
            terminal.shown(),
            progress.interruptible(),
            _api.running() as api,
        ):
            from flows.harden import harden as run
            from hardgate import params
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
        from tasks import _verification

        checks = _verification.verify(subject, sample=sample, seed=seed)
    if json:
        _print_json([check.model_dump(mode="json") for check in checks])
    else:
        _print_checks(checks)
    raise typer.Exit(0 if all(check.passed for check in checks) else 1)


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


def _print_decision(decision: Decision) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("gate", "verdict", "measured", "95 % interval", "to pass"):
        numeric = heading in {"measured", "95 % interval"}
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for finding in decision.findings:
        seen = finding.observed
        table.add_row(
            finding.gate,
            finding.verdict.value,
            f"{seen.value:.4g}" if seen else "-",
            f"{seen.lower:.3g} to {seen.upper:.3g}" if seen else "-",
            finding.condition,
            style=None if finding.verdict.value == "passed" else "red",
        )
    console.print(table)
    for finding in decision.findings:
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


def _print_checks(checks: tuple[Check, ...]) -> None:
    for number, check in enumerate(checks, start=1):
        sys.stdout.write(
            f"{number:2}. {'ok    ' if check.passed else 'FAILED'} {check.name}: {check.words}\n"
        )
    failed = sum(not check.passed for check in checks)
    sys.stdout.write(
        f"{len(checks)} checks, all hold\n" if not failed else f"{failed} of {len(checks)} fail\n"
    )


def _print_json(plain: object) -> None:
    import json

    sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def main() -> None:
    """Run the command; errors become one line on standard error and their exit status."""
    # Threads that wait must sleep, or they take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
