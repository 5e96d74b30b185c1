"""Which tasks are ready, wait or are in flight, as SQL.

The conditions of the partial indexes (migration 0001), word for word, so that each is answered by
its index. No import: `status` reads this and nothing else of the store.
"""

from __future__ import annotations

from typing import Final

READY: Final = "state = 'pending' AND unmet = 0 AND hold = 0 AND parked = 0"
WAITING: Final = "state = 'pending' AND (unmet > 0 OR hold = 1 OR parked = 1)"
IN_FLIGHT: Final = (
    "state IN ('claimed', 'prepared', 'dispatched', 'in_review', 'rework') AND state <> 'pending'"
)
