"""``edge hub``: the fleet's side."""

from __future__ import annotations

import click

from edge.cli.lazy import LazyGroup

COMMANDS = {
    "ingest": ("edge.cli.hub_store:ingest", "Store what devices report, and tell them how far."),
    "status": ("edge.cli.hub_store:status", "The fleet: online, release, backlog, last event."),
    "events": ("edge.cli.hub_store:events", "Stored events, by time, device, camera and subject."),
    "simulate": ("edge.cli.hub_simulate:simulate", "Many devices from one process, to size a broker and an ingest."),
    "key": ("edge.cli.hub_command:key", "Make the key that signs commands."),
    "command": ("edge.cli.hub_command:command", "Ask a device for something, and print its answer."),
    "init": ("edge.cli.hub_publish:init", "Make the keys and an empty signed repository."),
    "add": ("edge.cli.hub_publish:add", "Put a model, a collection, custom labels or a probe into the next release."),
    "forget": ("edge.cli.hub_publish:forget", "Remove a subject from every collection of the fleet."),
    "publish": ("edge.cli.hub_publish:publish", "Sign what was added as a release."),
    "enrolments": ("edge.cli.hub_enrolments:enrolments", "What devices enrolled, for the fleet or for nobody."),
    "sealing": ("edge.cli.hub_sealing:sealing", "Which devices can read the collections that are published."),
    "rollout": ("edge.cli.hub_rollout:rollout", "Say which devices run which release."),
    "rotate": ("edge.cli.hub_rollout:rotate", "Give a role a new key."),
    "refresh": ("edge.cli.hub_rollout:refresh", "Sign the online metadata again before it expires."),
}
"""command -> (where it lives, its line in the help)"""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def hub() -> None:
    r"""The fleet's side: store events, look at the fleet, command devices.

    \b
    Example:
      edge hub ingest
      edge hub events --subject alice --since 2d
    """
