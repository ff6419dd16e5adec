"""``edge doctor``: what is wrong, why, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output

if TYPE_CHECKING:
    from edge.cli.doctor.finding import DoctorContext, Finding

MARKS = {
    "ok": ("ok     ", "green"),
    "note": ("note   ", "blue"),
    "warning": ("WARNING", "yellow"),
    "error": ("ERROR  ", "red"),
}
"""level -> how it is shown"""


@click.command()
@click.option("--bundle", type=click.Path(dir_okay=False, path_type=Path), help="Write a zip for a bug report as well.")
@output.json_option
@click.pass_context
def doctor(ctx: click.Context, bundle: Path | None, as_json: bool) -> None:
    r"""Look at everything this device depends on; say what is wrong, why, and what to try.

    The daemon may run meanwhile. The bundle holds no password, no name of a subject, no picture and no embedding.
    Exit code: 0 nothing is wrong, 1 something is.

    \b
    Example:
      edge doctor
      sudo edge doctor --bundle /tmp/report.zip
    """
    findings: list[Finding] = []
    context = _patient(ctx, findings)
    for finding in findings if context is None else _examined(context, findings):
        if not as_json:
            _show(finding)
    if bundle and context:
        from edge.cli.doctor import bundle as bundles

        parts = bundles.write(bundle, context, findings)
        click.echo(f"wrote {bundle}: {', '.join(parts)}", err=as_json)
    wrong = sum(finding.wrong for finding in findings)
    if as_json:
        output.print_json({"ok": not wrong, "findings": [_document(finding) for finding in findings]})
    else:
        click.echo(f"\n{wrong} of {len(findings)} findings need attention" if wrong else "\nnothing is wrong")
    ctx.exit(1 if wrong else 0)


def _patient(ctx: click.Context, findings: list[Finding]) -> DoctorContext | None:
    """The device itself; None, and a finding, where its settings cannot be read: then nothing else can be judged."""
    from edge.cli.doctor.finding import DoctorContext, Finding
    from edge.core.errors import SettingsError
    from edge.core.settings import loader as config
    from edge.core.storage import lock

    chosen = ctx.find_root().obj
    try:
        loaded = config.load(Path(chosen) if chosen else None)
    except SettingsError as error:
        findings.append(Finding.of("configuration", error))
        return None
    state = config.state_folder(loaded.settings)
    return DoctorContext(loaded, state, daemon=lock.holder(state))


def _examined(context: DoctorContext, findings: list[Finding]) -> Iterator[Finding]:
    from edge.cli.doctor.examination import examine

    for finding in examine(context):
        findings.append(finding)
        yield finding


def _show(finding: Finding) -> None:
    mark, color = MARKS[finding.level]
    click.echo(f"{click.style(mark, fg=color)}  {finding.part:<14} {finding.what}")
    for word, text in (("why", finding.why), ("try", finding.try_)):
        if text:
            click.echo(f"{'':25}{word}: {text}")


def _document(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level, "part": finding.part, "what": finding.what, "why": finding.why, "try": finding.try_
    }  # fmt: skip
