-- Portable SQL: the same statements run on SQLite and PostgreSQL. Integers are 64 bit, flags are
-- 0 or 1, texts are UTF-8, structured values are JSON text.

-- listed: 1 while the queue file shows the task. A task with a record is never deleted: when a
-- person removes its row, it is cancelled (unless it is completed) and no longer listed.
CREATE TABLE task (
    task_key TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    sort_key BIGINT NOT NULL,
    enqueued_ms BIGINT NOT NULL,
    hold BIGINT NOT NULL,
    unmet BIGINT NOT NULL,
    parked BIGINT NOT NULL,
    not_before_ms BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    spec TEXT NOT NULL,
    journey TEXT NOT NULL,
    reason TEXT NOT NULL,
    revision BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    attempt_id TEXT,
    checkpoint_id TEXT,
    thread_id TEXT,
    run_id TEXT,
    lease_token BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    updated_at TEXT NOT NULL
);

-- What may be picked now, in the order of picking.
CREATE INDEX task_pick ON task (sort_key, seq)
    WHERE state = 'pending' AND unmet = 0 AND hold = 0 AND parked = 0;
-- What no index above finds: pending, and kept back by something.
CREATE INDEX task_waiting ON task (seq)
    WHERE state = 'pending' AND (unmet > 0 OR hold = 1 OR parked = 1);
-- What is not pending, by state and newest first. Pending tasks are left out, so that no planner
-- prefers this index to task_pick: a query that wants this one says `state <> 'pending'`.
CREATE INDEX task_state ON task (state, updated_at) WHERE state <> 'pending';
-- What waits for its backoff.
CREATE INDEX task_parked ON task (not_before_ms) WHERE parked = 1;

-- What the queue file does not show, or is being brought back.
CREATE INDEX task_listed ON task (listed) WHERE listed <> 1;

CREATE TABLE dependency (
    task_key TEXT NOT NULL,
    needs TEXT NOT NULL,
    PRIMARY KEY (task_key, needs)
);
CREATE INDEX dependency_needs ON dependency (needs);

-- How many tasks are in each state, and totals; kept in the same transaction as the state.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE run (
    run_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    pid BIGINT NOT NULL,
    start_ticks BIGINT NOT NULL,
    boot_id TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT
);

-- The ledger: `line` holds the exact bytes that the JSONL files repeat, without the newline.
CREATE TABLE ledger (
    seq BIGINT PRIMARY KEY,
    task_id TEXT NOT NULL,
    task_seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    run_id TEXT,
    hash TEXT NOT NULL,
    line TEXT NOT NULL,
    UNIQUE (task_id, task_seq)
);
CREATE INDEX ledger_run ON ledger (run_id, seq);

-- One row: where the project's chain ends, and the frontier of its Merkle tree (hex).
CREATE TABLE ledger_head (
    id BIGINT PRIMARY KEY,
    project_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    last_hash TEXT NOT NULL,
    frontier TEXT NOT NULL
);

CREATE TABLE task_head (
    task_id TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    last_hash TEXT NOT NULL
);

-- Effects that are decided and not yet done.
CREATE TABLE outbox (
    number BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    effect_key TEXT NOT NULL UNIQUE,
    task_key TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT
);

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
