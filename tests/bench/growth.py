#!/usr/bin/env python3
"""growth.py FIGURES.json PICTURE.svg: draws how the cost of a call grows, as growth measured it."""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

# Kind: colour (told apart by colour-blind readers too), marker. Sets are dashed.
STYLES = {
    "get, memory store": ("#0072b2", "o"),
    "get, WATCHED": ("#56b4e9", "s"),
    "get, CHECKED": ("#009e73", "^"),
    "get, FRESH": ("#444444", "D"),
    "set, SYNC_NONE": ("#e69f00", "v"),
    "set, SYNC_FULL": ("#d55e00", "X"),
}
# Panel: title, label of the x axis, whether y is the time of a call (else calls a second).
PANELS = {
    "flags": ("One caller, more flags", "flags in the store", True),
    "value_bytes": ("One caller, 100 flags, longer values", "bytes of each value", True),
    "threads": ("1 000 flags, more threads", "threads", False),
    "processes": ("1 000 flags, more processes", "processes", False),
}


def with_unit(value, units):
    for size, unit in units:
        if value >= size * 0.999:
            return f"{value / size:g} {unit}".rstrip()
    return f"{value:g}"


def seconds(value, _position):
    return with_unit(value, [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")])


def amount(value, _position):
    return with_unit(value, [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")])


def size(value, _position):
    return with_unit(value, [(1024, "Ki"), (1, "")])


def draw(axes, points, title, label, is_time):
    for kind, (colour, marker) in STYLES.items():
        own = [(point["x"], point["per_second"]) for point in points if point["kind"] == kind]
        if not own:
            continue
        xs, rates = zip(*own)
        ys = [1 / rate for rate in rates] if is_time else rates
        dash = "--" if kind.startswith("set") else "-"
        axes.plot(xs, ys, dash, color=colour, marker=marker, markersize=5, linewidth=1.6, label=kind)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({point["x"] for point in points})
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(size if "bytes" in label else amount))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.yaxis.set_major_formatter(FuncFormatter(seconds if is_time else amount))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(label)
    axes.set_ylabel("time of one call" if is_time else "calls per second, all together")
    axes.grid(True, which="major", color="#dddddd", linewidth=0.7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def main(figures, picture):
    with open(figures, encoding="utf-8") as file:
        data = json.load(file)
    # The same figures give the same bytes; text stays text.
    plt.rcParams.update({"svg.hashsalt": "flagstore", "svg.fonttype": "none", "font.size": 10})
    figure, grid = plt.subplots(2, 2, figsize=(10, 8), facecolor="white")
    for axes, (name, (title, label, is_time)) in zip(grid.flat, PANELS.items()):
        draw(axes, data[name], title, label, is_time)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=len(labels), frameon=False, bbox_to_anchor=(0.5, 0.03))
    machine = data["machine"]
    figure.text(
        0.5, 0.015, f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel'].split('-')[0]}, "
        f"{machine['file_system']}; medians", ha="center", fontsize=8, color="#555555",
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(picture, metadata={"Date": None})


main(*sys.argv[1:])
