"""The Grafana dashboard of `deploy/grafana`: every metric that it names is one of a live service, every panel has data from a
real Prometheus, and its picture can be drawn."""
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dashboard import draw, expressions, panels, resolved
from support.metrics import named, scraped_service, shown
from support.processes import DEPLOY, wait_for

BOARD = json.loads((DEPLOY / "grafana/aa-redirect.json").read_text())
# Events that only happen if something is wrong or an operator acts.
QUIET = {"Faults of the service"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[tuple]:
    folder = tmp_path_factory.mktemp("dashboard")
    with scraped_service(folder) as (service, prometheus, traffic):
        begin = time.time()
        # Enough scrapes for a rate.
        def enough() -> bool:
            traffic.round()
            return len(prometheus.query("count_over_time(up[30s]) >= 12")) == 1

        wait_for("a dozen scrapes", enough)
        yield service, prometheus, begin


def test_every_metric_that_it_names_is_shown_by_a_live_service(scene: tuple) -> None:
    service, *_ = scene
    read = set().union(*(named(expression) for expression in expressions(BOARD)))
    assert len(read) > 25
    assert read - shown(service.metrics()) == set()


def test_every_panel_has_data(scene: tuple) -> None:
    _, prometheus, _ = scene
    for panel in panels(BOARD):
        for target in panel["targets"]:
            found = prometheus.query(resolved(target["expr"]))
            assert found or panel["title"] in QUIET, f"{panel['title']}: {target['expr']} gives nothing"


def test_its_panels_do_not_overlap_and_each_has_an_id_of_its_own() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert not own & cells, panel["title"]
        cells |= own


def test_a_trace_leads_from_the_graph_to_a_call(scene: tuple) -> None:
    _, prometheus, begin = scene
    found = prometheus.api(
        "query_exemplars", query="grpc_server_handling_seconds_bucket", start=begin, end=time.time()
    )
    assert all(len(exemplar["labels"]["trace_id"]) == 32 for series in found for exemplar in series["exemplars"])
    assert found, "Prometheus asks for OpenMetrics, which has exemplars"


def test_its_picture_can_be_drawn(scene: tuple, tmp_path: Path) -> None:
    _, prometheus, begin = scene
    picture = tmp_path / "dashboard.png"
    draw(BOARD, prometheus, begin, time.time(), picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
