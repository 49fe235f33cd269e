"""Reads the Grafana dashboard, and draws its picture from the answers of Prometheus. Chromium draws it, because Grafana
itself is not available."""
from __future__ import annotations

import html
import math
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .prometheus import Prometheus

COLOURS = ["#3b7dd8", "#e08a1e", "#3f9a4c", "#b8433a", "#7a5bb0", "#8b6348", "#cf6aa4", "#6f7680", "#a8a63a", "#36a3b0"]
CELL = 62


def panels(board: dict) -> Iterator[dict]:
    """The panels that show data."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def expressions(board: dict) -> Iterator[str]:
    """Every PromQL expression of the dashboard: of panels, variables and annotations."""
    yield from (target["expr"] for panel in panels(board) for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query")
    yield from (annotation["expr"] for annotation in board["annotations"]["list"])


def resolved(expression: str) -> str:
    """An expression with Grafana's variables replaced as for `All`."""
    for name in ("job", "fiu", "aa"):
        expression = expression.replace(f'"${name}"', '".*"')
    return expression.replace("$__rate_interval", "10s")


def draw(board: dict, prometheus: Prometheus, begin: float, end: float, picture: Path) -> None:
    """Writes the picture of the dashboard for the time between two instants."""
    parts, bottom = [], 0
    for panel in board["panels"]:
        place = panel["gridPos"]
        left, top, width = place["x"] * CELL, place["y"] * 30, place["w"] * CELL
        height = place["h"] * 30
        bottom = max(bottom, top + height)
        style = f"left:{left}px;top:{top + 50}px;width:{width - 8}px;height:{height - 6}px"
        body = "" if panel["type"] == "row" else _chart(panel, prometheus, begin, end, width - 8, height - 6)
        parts.append(f'<div class="{panel["type"]}" style="{style}"><b>{html.escape(panel["title"])}</b>{body}</div>')
    page = f"""<!doctype html><meta charset=utf-8><style>
    body {{ margin:0; background:#f4f5f7; font:12px 'DejaVu Sans',sans-serif; color:#222 }}
    h1 {{ font-size:20px; margin:14px }} div {{ position:absolute; box-sizing:border-box }}
    .timeseries {{ background:#fff; border:1px solid #dcdfe3; border-radius:3px; padding:6px }}
    .row {{ padding:6px 4px; color:#555 }} text {{ font-size:10px; fill:#555 }}</style>
    <h1>{html.escape(board["title"])}</h1>{"".join(parts)}"""
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(page)
        file.flush()
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
                   f"--window-size={24 * CELL},{bottom + 60}", f"--screenshot={picture}", f"file://{file.name}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def _chart(panel: dict, prometheus: Prometheus, begin: float, end: float, width: int, height: int) -> str:
    series = []
    for target in panel["targets"]:
        step = max(1, math.ceil((end - begin) / 120))
        query = resolved(target["expr"])
        for found in prometheus.api("query_range", query=query, start=begin, end=end, step=step)["result"]:
            name = target["legendFormat"]
            for label, value in found["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            points = [(float(time), float(value)) for time, value in found["values"] if value != "NaN"]
            if points:
                series.append((name, points))
    if not series:
        return f'<svg width="{width - 14}" height="{height - 26}"><text x="10" y="30">no data</text></svg>'
    stacked = "stacking" in panel["fieldConfig"]["defaults"].get("custom", {})
    return _svg(series[:10], panel["fieldConfig"]["defaults"]["unit"], stacked, begin, end, width - 14, height - 26)


def _svg(series: list, unit: str, stacked: bool, begin: float, end: float, width: int, height: int) -> str:
    left, bottom = 52, 38
    if stacked:
        base: dict[float, float] = {}
        for at, (name, points) in enumerate(series):
            points = [(time, value + base.get(time, 0.0)) for time, value in points]
            base.update(points)
            series[at] = (name, points)
    values = [value for _, points in series for _, value in points]
    low, high = min(0.0, *values), max(values)
    high = high if high > low else low + 1

    def place(time: float, value: float) -> str:
        x = left + (time - begin) / (end - begin) * (width - left - 4)
        y = 6 + (1 - (value - low) / (high - low)) * (height - bottom - 6)
        return f"{x:.1f},{y:.1f}"

    lines, legend, at = [], [], left
    for step in range(5):
        value = low + (high - low) * step / 4
        y = place(begin, value).split(",")[1]
        lines.append(f'<line x1="{left}" x2="{width}" y1="{y}" y2="{y}" stroke="#eceef0"/>'
                     f'<text x="{left - 5}" y="{float(y) + 3}" text-anchor="end">{_number(value, unit)}</text>')
    order = list(enumerate(series))
    for number, (name, points) in reversed(order) if stacked else order:
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(*point) for point in points)
        if stacked:
            shape = f"{place(points[0][0], 0)} {path} {place(points[-1][0], 0)}"
            lines.append(f'<polygon points="{shape}" fill="{colour}" fill-opacity=".35"/>')
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    for number, (name, _) in order:
        if at + 14 + 6 * len(name) > width:
            break
        legend.append(f'<rect x="{at}" y="{height - 14}" width="9" height="3" fill="{COLOURS[number % len(COLOURS)]}"/>'
                      f'<text x="{at + 12}" y="{height - 10}">{html.escape(name)}</text>')
        at += 22 + round(6.1 * len(name))
    return f'<svg width="{width}" height="{height}">{"".join(lines + legend)}</svg>'


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.0f} s" if abs(value) >= 10 else f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.1f} s"
    if unit == "bytes":
        return f"{value / 1048576:.0f} MiB"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
