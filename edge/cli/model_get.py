"""``edge models get``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import completion
from edge.cli.output import bar, json_option, print_json, print_table, settings
from edge.cli.paths import InputPath
from edge.core.errors import ModelError, SettingsError
from edge.core.storage import layout

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.inference.card import Card
    from edge.inference.onboarding.catalog import Offer

USED_LABELS = ("person",)
"""labels of a new detector that get a settings section and thus events; others would flood the log"""


@click.command()
@click.argument("name", required=False, shell_complete=completion.catalog)
@click.option("--sha256", default="", help="Expected digest; required if the catalog has none.")
@click.option("--catalog", type=InputPath(exists=True, dir_okay=False), help="Another catalog.")
@click.option("--replace", "overwrite", is_flag=True, help="Replace an installed model of that name.")
@click.option("--use", "use_it", is_flag=True, help="Add a detector to the settings of every camera.")
@json_option
@click.pass_context
def get(
    ctx: click.Context,
    /,
    name: str | None,
    sha256: str,
    catalog: Path | None,
    overwrite: bool,
    use_it: bool,
    as_json: bool,
) -> None:
    r"""Download, verify, test and install a model of the catalog. Without NAME: show the catalog.

    An interrupted download resumes when the command is run again.

    \b
    Example:
      edge models get
      edge models get ssd-mobilenet-v1-coco --use
    """
    from edge.inference.onboarding import catalog as shop

    path = catalog or shop.FILE
    if name is None:
        _show(list(shop.offers(path).values()), as_json)
        return
    found = shop.offer(name, path)
    chosen = settings(ctx)
    here = None if overwrite else _present(name, chosen) if use_it else None
    installed = here or _fetched(found, chosen, sha256, overwrite)
    written = _use(ctx, name, chosen) if use_it else None
    if as_json:
        document = {"name": name, "installed": str(installed), "licence": found.licence}
        print_json({**document, "settings": str(written)} if written else document)
    else:
        click.echo(f"installed: {installed}\nlicence: {found.licence}")
        if written:
            click.echo(f"used from the next start on: {written}")


def _present(name: str, chosen: Settings) -> Path | None:
    """The file of an installed model; None: not installed."""
    from edge.core.settings import loader as config
    from edge.inference import model

    folders = model.folders(chosen.models, config.state_folder(chosen))
    return next((entry.path for entry in model.available(folders) if entry.name == name), None)


def _use(ctx: click.Context, name: str, chosen: Settings) -> Path:
    """Add a detector to the settings file, after validation of the result. Raises SettingsError."""
    from edge.core.settings import loader as config
    from edge.core.settings.editing import with_detector
    from edge.core.settings.vision import CameraSettings
    from edge.core.storage import files
    from edge.inference import model

    given = ctx.find_root().obj
    loaded = config.load(Path(given) if given else None)
    if loaded.path is None:
        raise SettingsError(
            "there is no settings file to add the detector to", "create /etc/edge/edge.toml, or use --config FILE"
        )
    card = model.find(name, model.folders(chosen.models, config.state_folder(chosen))).card
    if not card.labels:
        raise SettingsError(f"{name} is not a detector", "embedders are set per label: [labels.NAME] embedder")
    usual = CameraSettings().detectors
    labels = [label for label in USED_LABELS if label in card.labels]
    text = with_detector(loaded.path.read_text(encoding="utf-8"), name, usual, labels)
    config.check_text(text, loaded.path)
    before = loaded.path.stat()
    files.write_bytes(loaded.path, text.encode(), mode=before.st_mode & 0o777)
    with suppress(PermissionError):
        os.chown(loaded.path, before.st_uid, before.st_gid)
    return loaded.path


def _fetched(found: Offer, chosen: Settings, sha256: str, overwrite: bool) -> Path:
    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference import validation as check
    from edge.inference.onboarding import catalog as shop
    from edge.inference.onboarding import library as model_library

    state = config.state_folder(chosen)
    model_library.free(found.name, state, overwrite)
    with bar(f"downloading {found.name}", found.size or None) as progress:
        seen = 0

        def advance(have: int, _total: int) -> None:
            nonlocal seen
            progress.advance(have - seen)
            seen = have

        file = shop.fetch(found, sha256, state / layout.DOWNLOADS.name, advance)
    try:
        opened = model.opened(_card(found, file, chosen), file)
        check.check(opened, chosen.models)
    except ModelError:
        file.unlink()
        raise
    installed = model_library.install(file, opened.card, state, overwrite)
    file.unlink()
    return installed.path


def _card(found: Offer, file: Path, chosen: Settings) -> Card:
    """The card of the catalog entry, or a proposed one."""
    from dataclasses import replace

    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference.onboarding import library as model_library
    from edge.inference.onboarding.card_proposal import Hints

    folders = model.folders(chosen.models, config.state_folder(chosen))
    entries = {entry.name: entry.card for entry in model.available(folders)}
    if ready := entries.get(found.card):
        return ready
    labels = ("face",) if found.labels == 1 else model_library.usual_labels(found.labels, folders)
    hints = Hints(name=found.name, licence=found.licence, labels=labels)
    proposed = model_library.tried(file, chosen.models, folders, hints).card
    return replace(proposed, about=found.about, get=f"edge models get {found.name}")


def _show(offers: list[Offer], as_json: bool) -> None:
    if as_json:
        print_json([{**vars(offer), "needs_sha256": not offer.sha256} for offer in offers])
        return
    rows = [
        (
            o.name,
            f"{o.size / 1e6:.2f} MB" if o.size else "?",
            o.licence,
            "known" if o.sha256 else "needs --sha256",
            o.about,
        )
        for o in offers
    ]
    print_table(("NAME", "SIZE", "LICENCE", "DIGEST", "WHAT"), rows)
