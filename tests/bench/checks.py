#!/usr/bin/env python3
"""checks.py FIGURES.json PICTURE.svg: draws how many flag checks a second one thread makes, as bench measured it."""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

FLAGS = 1000
OURS, PEER = "#0072b2", "#999999"
# Row, how its line begins, and who is ours there. "file" and "memory" part what survives the process from what does not.
MEMORY, CHECKED, WATCHED, FRESH = "memory store", "file store, CHECKED", "file store, WATCHED", "file store, FRESH"
LINES = [
    (1, "memory get_bool / GLib", MEMORY, "GLib hash table under a rwlock"),
    (1, "memory get_bool / LMDB", MEMORY, "LMDB"),
    (6, "file get_bool, WATCHED", WATCHED, None),
    (5, "file get_bool, CHECKED", CHECKED, "a bare stat of the file"),
    (4, "file get_bool, FRESH / bare", FRESH, "a bare open, fstat, read, close"),
    (4, "file get_bool, FRESH / yyjson in place", FRESH, "yyjson reading the file"),
    (4, "file get_bool, FRESH / cJSON", FRESH, "cJSON reading the file"),
    (4, "file get_bool, FRESH / jansson", FRESH, "jansson reading the file"),
    (4, "file get_bool, FRESH, changed before each / bare", "file store, a file changed before each read", None),
]


def rates(rows):
    """Name: checks a second, and whether it is ours."""
    found = {}
    for number, beginning, ours, peer in LINES:
        for row in rows:
            if row["row"] != number or row["flags"] != FLAGS or not row["what"].startswith(beginning):
                continue
            if row.get("ours") is None:
                continue
            found.setdefault(ours, (1e9 / row["ours"], True))
            if peer:
                found.setdefault(peer, (1e9 / row["peer"], False))
    return sorted(found.items(), key=lambda item: item[1][0])


def amount(value, _position=None):
    for size, unit in ((1e6, " million"), (1e3, " thousand"), (1, "")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def main(figures, picture):
    with open(figures, encoding="utf-8") as file:
        data = json.load(file)
    # The same figures give the same bytes; text stays text.
    plt.rcParams.update({"svg.hashsalt": "flagstore", "svg.fonttype": "none", "font.size": 10})
    checks = rates(data["rows"])
    figure, axes = plt.subplots(figsize=(10, 0.42 * len(checks) + 1.2), facecolor="white")
    names, bars = [name for name, _ in checks], [rate for _, (rate, _) in checks]
    axes.barh(names, bars, color=[OURS if is_ours else PEER for _, (_, is_ours) in checks], height=0.65)
    for place, rate in enumerate(bars):
        axes.text(rate * 1.1, place, amount(rate), va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(right=max(bars) * 8)
    axes.xaxis.set_major_formatter(FuncFormatter(amount))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"Flag checks a second, one thread, {FLAGS // 1000} 000 flags", fontsize=11)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    machine = data["machine"]
    figure.text(
        0.99, 0.01, f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel'].split('-')[0]}, "
        f"{machine['file_system']}", ha="right", fontsize=8, color="#555555",
    )
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(picture, metadata={"Date": None})


main(*sys.argv[1:])
