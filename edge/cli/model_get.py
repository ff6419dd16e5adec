"""``edge models get``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.output import bar, json_option, print_json, print_table, settings
from edge.core.errors import ModelError

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.inference.card import Card
    from edge.inference.onboarding.catalog import Offer


@click.command()
@click.argument("name", required=False)
@click.option("--sha256", default="", help="Digest the file must have; needed where the catalog has none.")
@click.option("--catalog", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another catalog.")
@click.option("--replace", "overwrite", is_flag=True, help="Take the place of an installed model of that name.")
@json_option
@click.pass_context
def get(
    ctx: click.Context, /, name: str | None, sha256: str, catalog: Path | None, overwrite: bool, as_json: bool
) -> None:
    r"""Download a model of the catalog, verify it, try it, install it. Without a name: show the catalog.

    A download that stopped goes on where it stopped when the command is run again.

    \b
    Example:
      edge models get
      edge models get mobilenet-v1-extractor-224
    """
    from edge.inference.onboarding import catalog as shop

    path = catalog or shop.FILE
    if name is None:
        _show(list(shop.offers(path).values()), as_json)
        return
    found = shop.offer(name, path)
    chosen = settings(ctx)
    installed = _fetched(found, chosen, sha256, overwrite)
    if as_json:
        print_json({"name": name, "installed": str(installed), "licence": found.licence})
    else:
        click.echo(f"installed: {installed}\nlicence: {found.licence}")


def _fetched(found: Offer, chosen: Settings, sha256: str, overwrite: bool) -> Path:
    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference import validation as check
    from edge.inference.onboarding import catalog as shop
    from edge.inference.onboarding import library as model_library

    state = config.state_folder(chosen)
    model_library.free(found.name, state, overwrite)
    with bar(f"fetching {found.name}", found.size or None) as progress:
        seen = 0

        def advance(have: int, _total: int) -> None:
            nonlocal seen
            progress.advance(have - seen)
            seen = have

        file = shop.fetch(found, sha256, state / "downloads", advance)
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
    """The ready card of the catalog's entry, or a proposed one."""
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
            "known" if o.sha256 else "say --sha256",
            o.about,
        )
        for o in offers
    ]
    print_table(("NAME", "SIZE", "LICENCE", "DIGEST", "WHAT"), rows)
