"""``edge doctor``: diagnosis of this device."""

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
"""level -> (text, color)"""


@click.command()
@click.option("--bundle", type=click.Path(dir_okay=False, path_type=Path), help="Also write a zip for a bug report.")
@output.json_option
@click.pass_context
def doctor(ctx: click.Context, bundle: Path | None, as_json: bool) -> None:
    r"""Check everything this device depends on; report problems with causes and remedies.

    The daemon may keep running. The zip has no passwords, names of subjects, pictures or embeddings.
    Exit code: 0 no problems, 1 problems found.

    \b
    Example:
      edge doctor
      sudo edge doctor --bundle /tmp/report.zip
    """
    findings: list[Finding] = []
    context = _context(ctx, findings)
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


def _context(ctx: click.Context, findings: list[Finding]) -> DoctorContext | None:
    """The device to check; None, and a finding, where its settings are invalid."""
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
