"""A report as a picture: a panel for each part that was measured."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edge.core.errors import EdgeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Report = Mapping[str, Any]

OURS, REST, SCRIPT, INK = "#2563a8", "#a9c8e8", "#d98032", "#333333"
COLUMNS = 3
PANEL = (5.2, 3.7)
"""inches"""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#999999",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 6,
}


def picture(report: Report) -> bytes:
    """A PNG of what ``edge bench`` measured. Raises EdgeError where nothing is installed that draws."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EdgeError(f"--plot draws with matplotlib: {error}", "pip install matplotlib") from error
    panels = [draw for wanted, draw in PANELS if all(report.get(part) for part in wanted)]
    rows = -(-len(panels) // COLUMNS)
    with mpl.rc_context(STYLE):
        width = min(COLUMNS, len(panels)) * PANEL[0]
        figure = Figure(figsize=(width, rows * PANEL[1] + 0.7), layout="constrained", dpi=110)
        figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15, wspace=0.04, hspace=0.06)  # type: ignore[union-attr,call-arg]
        figure.suptitle(_headline(report), x=0.01, ha="left", fontsize=11, color="#666666")
        for number, draw in enumerate(panels, 1):
            draw(figure.add_subplot(rows, min(COLUMNS, len(panels)), number), report)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _headline(report: Report) -> str:
    machine = report["machine"]
    runtime, threads = ", ".join(machine["runtime"]), machine["threads"]
    models = ", ".join(machine["models"])
    return f"edge bench · {machine['board']} · {runtime}, {threads} threads · {models} · {machine['picture']}"


def _cycle(axes: Axes, report: Report) -> None:
    """CPU of a frame: the invokes, and what is added to them; each detector that was tried, and the plain script."""
    rows = [("this cycle", report["cycle"])]
    rows += list(report.get("detectors", {}).items())
    names = [name for name, _ in rows]
    invokes = [row["invoke_cpu_ms_per_frame"] for _, row in rows]
    rest = [row["cpu_ms_per_frame"] - row["invoke_cpu_ms_per_frame"] for _, row in rows]
    axes.barh(names, invokes, color=OURS, label="invokes", height=0.6)
    axes.barh(names, rest, left=invokes, color=REST, label="the rest of the cycle", height=0.6)
    for at, (_, row) in enumerate(rows):
        _note(axes, row["cpu_ms_per_frame"], at, f"ratio {row['cpu_over_invokes']:.2f}")
    if "rival" in report:
        axes.barh(["plain script"], [report["rival"]["cpu_ms_per_frame"]], color=SCRIPT, height=0.6)
        _note(axes, report["rival"]["cpu_ms_per_frame"], len(rows), "embeds every face")
    _finish(axes, "CPU of a frame", "ms", across=True)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.25)
    axes.invert_yaxis()


def _threads(axes: Axes, report: Report) -> None:
    found = report["threads"]
    places = range(len(found))
    axes.bar(
        [at - 0.2 for at in places],
        [one["fps_of_invokes_alone"] for one in found.values()],
        0.38,
        color=REST,
        label="invokes alone",
    )
    axes.bar([at + 0.2 for at in places], [one["fps"] for one in found.values()], 0.38, color=OURS, label="whole cycle")
    for at, one in zip(places, found.values(), strict=True):
        axes.annotate(
            f"{100 * one['fps_share']:.0f} %", (at + 0.2, one["fps"]), (0, 3), textcoords="offset points", ha="center"
        )
    axes.set_xticks(list(places), [f"{threads} thread{'s' * (threads != '1')}" for threads in found])
    _finish(axes, "Frames a second by threads", "frames / s")


def _stages(axes: Axes, report: Report) -> None:
    stages = {name: one for name, one in report["latency_ms"].items() if one["p99"] > 0}
    names = sorted(stages, key=lambda name: (name == "frame", ORDER.index(name) if name in ORDER else 99))
    for at, name in enumerate(names):
        low, high = max(0.01, stages[name]["p50"]), stages[name]["p99"]
        axes.plot([low, high], [at, at], color=REST, linewidth=5, solid_capstyle="round", zorder=1)
    axes.scatter([max(0.01, stages[name]["p50"]) for name in names], names, color=OURS, zorder=2, label="p50")
    axes.scatter([stages[name]["p99"] for name in names], names, color=SCRIPT, zorder=2, label="p99")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    _finish(axes, "Latency by stage", "ms", across=True)
    axes.invert_yaxis()


def _in_view(axes: Axes, report: Report) -> None:
    found = report["in_view"]
    people = [int(count) for count in found]
    axes.plot(
        people, [one["script_cpu_ms_per_frame"] for one in found.values()], "o-", color=SCRIPT, label="plain script"
    )
    axes.plot(people, [one["cpu_ms_per_frame"] for one in found.values()], "o-", color=OURS, label="edge")
    axes.plot(
        people, [one["invoke_cpu_ms_per_frame"] for one in found.values()], "o--", color=REST, label="its invokes"
    )
    axes.set_xticks(people)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("people in view")
    _finish(axes, "CPU of a frame by people in view", "ms")


def _cameras(axes: Axes, report: Report) -> None:
    found = report["cameras"]
    places, width = range(len(found)), 0.8 / len(LOADS)
    for index, (load, words, color) in enumerate(LOADS):
        rates = [one.get(load, {}).get("looks_per_second", 0.0) for one in found.values()]
        bars = [at + (index - (len(LOADS) - 1) / 2) * width for at in places]
        axes.bar(bars, rates, width * 0.92, color=color, label=words)
        for at, (bar, one) in enumerate(zip(bars, found.values(), strict=True)):
            if load in one:
                text = f"{one[load]['exposure_to_outbox_ms'].get('p99', 0):.0f}"
                axes.annotate(text, (bar, rates[at]), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(list(places), [f"{count} camera{'s' * (count != '1')}" for count in found])
    axes.set_ylim(top=axes.get_ylim()[1] * 1.3)
    _finish(axes, "Looks by cameras", "looks / s; above: p99 of their age, ms")


def _collections(axes: Axes, report: Report) -> None:
    found = report["collections"]
    faces = [int(size) for size in found]
    axes.plot(
        faces,
        [one["enrolled_to_found_ms_p50"] for one in found.values()],
        "o-",
        color=SCRIPT,
        label="enrolled to found, p50",
    )
    axes.plot(faces, [one["match_ms_p99"] for one in found.values()], "o--", color=REST, label="match, p99")
    axes.plot(faces, [one["match_ms_p50"] for one in found.values()], "o-", color=OURS, label="match, p50")
    for size, one in zip(faces, found.values(), strict=True):
        axes.annotate(
            f"recall {one['recall_at_1']:.3g}",
            (size, one["match_ms_p50"]),
            (0, -14),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(faces, [f"{size:,}" for size in faces])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.margins(x=0.15, y=0.2)
    axes.set_xlabel("faces in the collection")
    _finish(axes, "Matching by size", "ms")


def _budget(axes: Axes, report: Report) -> None:
    found = report["budget"]
    names = ("every face,\nevery frame", "by the budget")
    runs = found["every_face_every_frame"], found["budget"]
    axes.barh(names, [run["embeddings"] for run in runs], color=[SCRIPT, OURS], height=0.6)
    for at, run in enumerate(runs):
        named = f"{run['embeddings']}: {run['tracks_named']} of {run['tracks']} tracks named"
        wait = run["seconds_to_name_p50"]
        _note(axes, run["embeddings"], at, named + (f",\nafter {wait:.1f} s" if wait is not None else ""))
    _finish(axes, f"Embeddings for {found['faces_seen']} faces seen", "embeddings", across=True)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.6)
    axes.invert_yaxis()


def _note(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=9)


def _finish(axes: Axes, title: str, unit: str, across: bool = False) -> None:
    axes.set_title(title)
    (axes.set_xlabel if across else axes.set_ylabel)(unit)
    axes.grid(axis="x" if across else "y", color="#e5e5e5")
    if axes.get_legend_handles_labels()[0]:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 2}
        axes.legend(fontsize=9, **(below if across else {"loc": "best"}))


ORDER = ("motion", "detect", "track", "embed", "match", "report")
LOADS = (
    ("as_set", "at the rate that is set", REST),
    ("overloaded", "overloaded", OURS),
    ("overloaded_mostly_still", "overloaded, most of them still", SCRIPT),
)
PANELS: tuple[tuple[tuple[str, ...], Callable[[Axes, Report], None]], ...] = (
    (("cycle",), _cycle),
    (("threads",), _threads),
    (("latency_ms",), _stages),
    (("in_view",), _in_view),
    (("cameras",), _cameras),
    (("collections",), _collections),
    (("budget",), _budget),
)
"""what a panel needs of a report, and what draws it"""
