"""When a call is tried again: the same rules in the clients of all languages.

UNAVAILABLE after 50 ms, doubling up to 500 ms, each times a random 0.8 to 1.2 (gRFC A6); OVERLOADED after the delay
that it names; nothing else. Up to three tries, all inside one time limit. A wait that would end behind the limit is not
begun, so that the reason of the last try is what the caller sees.
"""

from __future__ import annotations

import random
import time

import grpc

from aa_redirect._errors import Reason, RedirectError

TRIES = 3
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class Effort:
    """The time and the tries of one call."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.tries = 0
        self._end = time.monotonic() + limit

    def begin(self) -> float:
        """Counts a try, and gives the seconds that it may take."""
        self.tries += 1
        return max(self._end - time.monotonic(), 0.001)

    def pause(self, error: RedirectError) -> float | None:
        """The seconds to wait before the next try; `None`: there is none."""
        if self.tries >= TRIES:
            return None
        if error.reason is Reason.OVERLOADED and error.retry_delay is not None:
            pause = error.retry_delay.total_seconds()
        elif error.code is grpc.StatusCode.UNAVAILABLE:
            pause = min(FIRST_PAUSE * 2 ** (self.tries - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        else:
            return None
        return pause if time.monotonic() + pause < self._end else None
