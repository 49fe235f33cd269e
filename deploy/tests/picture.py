"""Writes the picture of the dashboard to the given file; deploy/grafana/render calls it."""
import json
import sys
import tempfile
import time
from pathlib import Path

from support.dashboard import draw
from support.metrics import scraped_service
from support.processes import DEPLOY

SECONDS = 75

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    with scraped_service(folder) as (_, prometheus, traffic):
        begin = time.time()
        while (elapsed := time.time() - begin) < SECONDS:
            traffic.round()
            # The rate of calls changes, so that the graphs show it.
            time.sleep(0.02 if elapsed % 40 > 20 else 0.1)
        board = json.loads((DEPLOY / "grafana/aa-redirect.json").read_text())
        draw(board, prometheus, begin + 12, time.time(), Path(sys.argv[1]))
