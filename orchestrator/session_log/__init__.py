"""Each run's events for machines: a view of the ledger, one JSON object a line."""
