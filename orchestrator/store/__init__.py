"""The store: one SQLite file, one transaction for each decision, and the views people read.

sql         the small port to a database, and its SQLite form
migrations  numbered SQL, portable to PostgreSQL
store       tasks, leases, ledger entries and outbox, moved together
evidence    files of evidence, written durably and named by digest
views       task_queue.json, scoreboard.json, trends.json, summary.md
projection  the ledger's JSONL files, appended from the store
"""
