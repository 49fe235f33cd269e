"""When a call is tried again: the same rules in the clients of all languages.

UNAVAILABLE after 50 ms, doubling up to 500 ms, each multiplied by a random factor from 0.8 to 1.2; OVERLOADED after the
delay that it names, plus up to a fifth; nothing else. Up to three tries, all inside one time limit. A wait that would
end after the limit does not begin, so that the caller sees the reason of the last try. gRPC's own retry is off, because
it knows only codes, not reasons.
"""

from __future__ import annotations

import random
import time

import grpc

from aa_redirect._errors import Attempted, Reason, RedirectError

TRIES = 3
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class Effort:
    """The time and the tries of one call."""

    def __init__(self, method: str, request_id: str, limit: float) -> None:
        self._method = method
        self._request_id = request_id
        self._limit = limit
        self._tries = 0
        self._end = time.monotonic() + limit

    def begin(self) -> float:
        """Counts a try, and gives the seconds that it may take."""
        self._tries += 1
        return max(self._end - time.monotonic(), 0.001)

    def so_far(self) -> Attempted:
        """What an error says about the call."""
        return Attempted(self._method, self._request_id, self._limit, self._tries)

    def pause(self, error: RedirectError) -> float | None:
        """The seconds to wait before the next try; `None` if there is none."""
        again = error.reason is Reason.OVERLOADED or error.code is grpc.StatusCode.UNAVAILABLE
        if not again or self._tries >= TRIES:
            return None
        if error.retry_delay is not None:
            pause = error.retry_delay.total_seconds() * random.uniform(1, 1.2)
        elif error.reason is Reason.OVERLOADED:
            return None
        else:
            pause = min(FIRST_PAUSE * 2 ** (self._tries - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        return pause if time.monotonic() + pause < self._end else None
