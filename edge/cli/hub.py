"""``edge hub``: commands of the hub of a fleet."""

from __future__ import annotations

import click

from edge.cli.lazy import LazyGroup

COMMANDS = {
    "ingest": ("edge.cli.hub_store:ingest", "Store and acknowledge the events of devices."),
    "partition": ("edge.cli.hub_store:partition", "Partition the events of an older hub by day (PostgreSQL)."),
    "serve": ("edge.cli.hub_serve:serve", "The page of the fleet: devices, events, people, releases."),
    "status": ("edge.cli.hub_store:status", "State of the fleet: online, release, backlog, last event."),
    "events": ("edge.cli.hub_store:events", "Stored events, by time, device, camera and subject."),
    "simulate": ("edge.cli.hub_simulate:simulate", "Simulate many devices, to size a broker and an ingest."),
    "plan": ("edge.cli.hub_plan:plan", "What a fleet needs: cores, memory, connections, rows and bytes."),
    "key": ("edge.cli.hub_command:key", "Create the key that signs commands."),
    "command": ("edge.cli.hub_command:command", "Send a command to a device, and print its answer."),
    "init": ("edge.cli.hub_publish:init", "Create signing keys and an empty signed repository."),
    "add": ("edge.cli.hub_publish:add", "Add a model, a collection, custom labels or a probe to the next release."),
    "forget": ("edge.cli.hub_publish:forget", "Erase a subject from collections and events of the fleet."),
    "publish": ("edge.cli.hub_publish:publish", "Sign the draft as a release."),
    "sign": ("edge.cli.hub_publish:sign", "Sign a release where its offline keys are."),
    "enrolments": ("edge.cli.hub_enrolments:enrolments", "Pull enrollments from devices; accept or drop them."),
    "review": ("edge.cli.hub_review:review", "Review questions of devices: pull, list, answer."),
    "sealing": ("edge.cli.hub_sealing:sealing", "Encryption of published collections, and the keys of devices."),
    "rollout": ("edge.cli.hub_rollout:rollout", "Choose which devices run which release."),
    "rotate": ("edge.cli.hub_rollout:rotate", "Replace the signing key of a role."),
    "refresh": ("edge.cli.hub_rollout:refresh", "Renew the online metadata before it expires."),
}
"""command -> (module:attribute, help line)"""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def hub() -> None:
    r"""Hub of a fleet: store events, monitor the fleet, command devices, publish releases.

    \b
    Example:
      edge hub ingest
      edge hub events --subject alice --since 2d
    """
