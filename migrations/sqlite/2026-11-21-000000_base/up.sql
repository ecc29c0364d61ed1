-- One row an instance: an order, a shipment. It carries the whole state, so a restart replays nothing.
CREATE TABLE workflows (
    key        INTEGER PRIMARY KEY NOT NULL,
    id         TEXT    NOT NULL UNIQUE,
    root       BIGINT  NOT NULL,
    parent     TEXT,
    -- Whose it is; NULL: nobody's in particular. A child's is its root's.
    owner      TEXT,
    kind       TEXT    NOT NULL,
    run_id     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    seq        BIGINT  NOT NULL,
    -- When it must be brought back to life by itself, in ms; 0: at once.
    wake_at    BIGINT,
    attempts   INTEGER NOT NULL,
    retrying   BOOLEAN NOT NULL,
    paused     BOOLEAN NOT NULL,
    last_error TEXT,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    ended_at   BIGINT,
    epoch      BIGINT  NOT NULL,
    snapshot   TEXT    NOT NULL
);
CREATE INDEX workflows_children ON workflows (root) WHERE root <> key;
CREATE INDEX workflows_due ON workflows (wake_at, key) WHERE wake_at IS NOT NULL;
-- The states people look for; those an order passes in a moment are left out.
CREATE INDEX workflows_state ON workflows (state, key)
    WHERE state IN ('in_review', 'compensating', 'stuck', 'failed', 'cancelled', 'timed_out');
CREATE INDEX workflows_owner ON workflows (owner, key) WHERE owner IS NOT NULL;

-- One row a transition: all facts of one step of one instance. `id` is the running number of its first fact over all
-- instances, `seq` that within its own.
CREATE TABLE transitions (
    id       INTEGER PRIMARY KEY NOT NULL,
    workflow BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    facts    TEXT   NOT NULL
);
CREATE UNIQUE INDEX transitions_workflow ON transitions (workflow, seq);
CREATE TRIGGER transitions_no_update BEFORE UPDATE ON transitions
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER transitions_no_delete BEFORE DELETE ON transitions
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE payments (
    payment_id TEXT PRIMARY KEY NOT NULL,
    order_id   TEXT NOT NULL,
    status     TEXT NOT NULL,
    amount     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

-- How many instances are in each state; kept by the commits that change it.
CREATE TABLE state_counts (
    kind  TEXT   NOT NULL,
    state TEXT   NOT NULL,
    n     BIGINT NOT NULL,
    PRIMARY KEY (kind, state)
);

-- First answers under idempotency keys.
CREATE TABLE answers (
    key         TEXT PRIMARY KEY NOT NULL,
    fingerprint TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX answers_at ON answers (at);

-- API keys. Of a key's secret only its SHA-256 is kept.
CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT   NOT NULL,
    hash       TEXT   NOT NULL UNIQUE,
    scopes     TEXT   NOT NULL,
    owner      TEXT,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Who asked for what, and what came of it.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY NOT NULL,
    at       BIGINT  NOT NULL,
    method   TEXT    NOT NULL,
    route    TEXT    NOT NULL,
    order_id TEXT,
    key_id   TEXT,
    key_name TEXT,
    status   INTEGER NOT NULL,
    reason   TEXT,
    remote   TEXT
);
CREATE INDEX audit_order ON audit (order_id, id) WHERE order_id IS NOT NULL;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

-- The number of times the database was opened for writing; every row carries that of its last writer.
CREATE TABLE owner (
    id    INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    epoch BIGINT NOT NULL
);
INSERT INTO owner (id, epoch) VALUES (1, 0);

-- What operators changed of task queues while they ran, as JSON; it stands above the configuration.
CREATE TABLE queues (
    name   TEXT PRIMARY KEY NOT NULL,
    change TEXT NOT NULL
);

-- What only this database knows: the key under which lease tokens are signed.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

-- For people.
CREATE VIEW orders AS
SELECT w.id,
       w.run_id,
       w.state,
       json_extract(w.snapshot, '$.state.address') AS address_json,
       json_extract(w.snapshot, '$.state.start.payment_id') AS payment_id,
       json_extract(w.snapshot, '$.state.payment.status') AS payment_status,
       json_extract(w.snapshot, '$.state.start.amount') AS amount,
       json_extract(w.snapshot, '$.state.start.currency') AS currency,
       w.owner,
       w.seq,
       w.paused,
       w.attempts,
       w.last_error,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.updated_at / 1000.0, 'unixepoch') AS updated_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.ended_at / 1000.0, 'unixepoch') AS ended_at
FROM workflows w
WHERE w.kind = 'order';

CREATE VIEW shipments AS
SELECT w.id,
       json_extract(w.snapshot, '$.state.order_id') AS order_id,
       w.state,
       json_extract(w.snapshot, '$.state.round') AS attempt,
       json_extract(w.snapshot, '$.state.carrier_ref') AS carrier_ref,
       json_extract(w.snapshot, '$.state.address') AS address_json,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.updated_at / 1000.0, 'unixepoch') AS updated_at
FROM workflows w
WHERE w.kind = 'shipping';

CREATE VIEW events AS
SELECT t.id + f.key AS id,
       w.id AS order_id,
       t.seq + f.key AS seq,
       json_extract(f.value, '$.type') AS type,
       json_extract(f.value, '$.data') AS payload_json,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.at / 1000.0, 'unixepoch') AS ts
FROM workflows w
JOIN transitions t ON t.workflow = w.key
JOIN json_each(t.facts) f;
CREATE TRIGGER events_no_insert INSTEAD OF INSERT ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only, and written by ordain alone'); END;
CREATE TRIGGER events_no_update INSTEAD OF UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_no_delete INSTEAD OF DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
