"""Index of appearances as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from edge.cli.analyze.appearances import VideoAppearance
from edge.core.types import IdentityState

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); }
h2 small, .soft { color: var(--soft); font-weight: normal; }
table.total { border-collapse: collapse; } .total td { padding: .1rem 1.2rem .1rem 0; }
ul { display: flex; flex-wrap: wrap; gap: .8rem; list-style: none; padding: 0; margin: 0; }
li { width: 160px; } img, .none { width: 160px; height: 160px; border-radius: 8px; background: #8882; display: block; }
a { color: inherit; } li b { display: block; margin-top: .3rem; font-variant-numeric: tabular-nums; }
li span { display: block; overflow-wrap: anywhere; }
"""


def page(title: str, named: Mapping[str, Sequence[VideoAppearance]]) -> str:
    """HTML document: a table of total durations, then every appearance with its picture."""
    sections = "".join(_section(name, number, list(ones)) for number, (name, ones) in enumerate(named.items()))
    rows = "".join(_row(name, number, ones) for number, (name, ones) in enumerate(named.items()))
    total = f'<table class="total">{rows}</table>' if rows else "<p>Nobody and nothing was seen.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"{total}{sections}</body></html>\n"
    )


def moment(seconds: float) -> str:
    """Format seconds as ``1:02.3``, from one hour on as ``1:01:02``."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}.{int(seconds * 10) % 10}"


def _row(name: str, number: int, ones: Sequence[VideoAppearance]) -> str:
    present = sum(one.ended - one.started for one in ones)
    times = "once" if len(ones) == 1 else f"{len(ones)} times"
    return (
        f'<tr><td><a href="#n{number}">{escape(name)}</a></td><td>{times}</td>'
        f'<td class="soft">{moment(present)} in all</td></tr>'
    )


def _section(name: str, number: int, ones: Sequence[VideoAppearance]) -> str:
    unnamed = ones[0].identity.state is not IdentityState.KNOWN
    kind = " <small>without a name</small>" if unnamed else ""
    cards = "".join(_card(one) for one in ones)
    return f'<h2 id="n{number}">{escape(name)}{kind}</h2><ul>{cards}</ul>'


def _card(one: VideoAppearance) -> str:
    picture = '<div class="none"></div>'
    if one.jpeg:
        data = base64.b64encode(one.jpeg).decode("ascii")
        picture = f'<img alt="{escape(one.who)}" src="data:image/jpeg;base64,{data}">'
    when = "" if one.ended == one.started == 0 else f"<b>{moment(one.started)} &ndash; {moment(one.ended)}</b>"
    return f'<li>{picture}{when}<span class="soft">{escape(_detail(one))}</span></li>'


def _detail(one: VideoAppearance) -> str:
    who = one.identity
    doubt = f"{who.state.value}: {who.subject}? · " if who.state is IdentityState.UNCERTAIN and who.subject else ""
    sure = f"cosine {who.similarity:.2f} · " if who.similarity is not None else ""
    return f"{doubt}{sure}{Path(one.source).name}"
