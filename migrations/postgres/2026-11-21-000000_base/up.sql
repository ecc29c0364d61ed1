-- One row an instance: an order, a shipment. It carries the whole state, so a restart replays nothing.
CREATE TABLE workflows (
    key        BIGINT  PRIMARY KEY,
    id         TEXT    NOT NULL COLLATE "C",
    root       BIGINT  NOT NULL,
    parent     TEXT,
    -- Whose it is; NULL: nobody's in particular. A child's is its root's.
    owner      TEXT,
    kind       TEXT    NOT NULL,
    run_id     TEXT    NOT NULL,
    state      TEXT    NOT NULL COLLATE "C",
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
    snapshot   TEXT    NOT NULL,
    -- The rare states. An index on `state` itself would have every passing state rewrite all indexes: PostgreSQL leaves
    -- them alone (HOT) only where no indexed column changes.
    rare_state TEXT    COLLATE "C" GENERATED ALWAYS AS
        (CASE WHEN state IN ('stuck', 'failed', 'cancelled', 'timed_out') THEN state END) STORED
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX workflows_id ON workflows (id);
CREATE INDEX workflows_children ON workflows (root) WHERE root <> key;
CREATE INDEX workflows_due ON workflows (wake_at, key) WHERE wake_at IS NOT NULL;
CREATE INDEX workflows_rare ON workflows (rare_state, key) WHERE rare_state IS NOT NULL;
CREATE INDEX workflows_open ON workflows (key) WHERE ended_at IS NULL;
CREATE INDEX workflows_owner ON workflows (owner, key) WHERE owner IS NOT NULL;

-- One row a transition: all facts of one step of one instance. `id` is the running number of its first fact over all
-- instances, `seq` that within its own.
CREATE TABLE transitions (
    id       BIGINT PRIMARY KEY,
    workflow BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    facts    TEXT   NOT NULL
);
CREATE UNIQUE INDEX transitions_workflow ON transitions (workflow, seq);
CREATE FUNCTION ordain_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$;
CREATE TRIGGER transitions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transitions
    FOR EACH STATEMENT EXECUTE FUNCTION ordain_append_only();

CREATE TABLE payments (
    payment_id TEXT PRIMARY KEY,
    order_id   TEXT NOT NULL,
    status     TEXT NOT NULL,
    amount     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITH (fillfactor = 80);

-- How many instances are in each state; kept by the commits that change it.
CREATE TABLE state_counts (
    kind  TEXT   NOT NULL,
    state TEXT   NOT NULL,
    n     BIGINT NOT NULL,
    PRIMARY KEY (kind, state)
) WITH (fillfactor = 20);

-- First answers under idempotency keys.
CREATE TABLE answers (
    key         TEXT   PRIMARY KEY,
    fingerprint TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX answers_at ON answers (at);

-- API keys. Of a key's secret only its SHA-256 is kept.
CREATE TABLE api_keys (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    hash       TEXT   NOT NULL UNIQUE,
    scopes     TEXT   NOT NULL,
    owner      TEXT,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Who asked for what, and what came of it.
CREATE TABLE audit (
    id       BIGINT  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
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
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION ordain_append_only();

-- Who owns the database: `epoch` counts the owners there were, and every commit is made under it; the lease is kept
-- by `renewed_at`, in the server's own time.
CREATE TABLE owner (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    epoch      BIGINT  NOT NULL,
    holder     TEXT,
    -- The backend of the session that keeps the lease: a holder whose session has ended is probably dead.
    session    INTEGER,
    renewed_at TIMESTAMPTZ
) WITH (fillfactor = 20);
INSERT INTO owner (id, epoch) VALUES (1, 0);

-- What operators changed of task queues while they ran, as JSON; it stands above the configuration.
CREATE TABLE queues (
    name   TEXT PRIMARY KEY,
    change TEXT NOT NULL
);

-- What only this database knows: the key under which lease tokens are signed.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- For people.
CREATE FUNCTION ordain_time(ms BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS
    $$ SELECT to_char(to_timestamp(ms / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

CREATE VIEW orders AS
SELECT w.id,
       w.run_id,
       w.state,
       w.snapshot::jsonb #> '{state,address}' AS address_json,
       w.snapshot::jsonb #>> '{state,start,payment_id}' AS payment_id,
       w.snapshot::jsonb #>> '{state,payment,status}' AS payment_status,
       w.snapshot::jsonb #>> '{state,start,amount}' AS amount,
       w.snapshot::jsonb #>> '{state,start,currency}' AS currency,
       w.owner,
       w.seq,
       w.paused,
       w.attempts,
       w.last_error,
       ordain_time(w.created_at) AS created_at,
       ordain_time(w.updated_at) AS updated_at,
       ordain_time(w.ended_at) AS ended_at
FROM workflows w
WHERE w.kind = 'order';

CREATE VIEW shipments AS
SELECT w.id,
       w.snapshot::jsonb #>> '{state,order_id}' AS order_id,
       w.state,
       (w.snapshot::jsonb #>> '{state,round}')::BIGINT AS attempt,
       w.snapshot::jsonb #>> '{state,carrier_ref}' AS carrier_ref,
       w.snapshot::jsonb #> '{state,address}' AS address_json,
       ordain_time(w.created_at) AS created_at,
       ordain_time(w.updated_at) AS updated_at
FROM workflows w
WHERE w.kind = 'shipping';

CREATE VIEW events AS
SELECT t.id + f.nth - 1 AS id,
       w.id AS order_id,
       t.seq + f.nth - 1 AS seq,
       f.fact ->> 'type' AS type,
       f.fact -> 'data' AS payload_json,
       ordain_time(t.at) AS ts
FROM workflows w
JOIN transitions t ON t.workflow = w.key
CROSS JOIN LATERAL jsonb_array_elements(t.facts::jsonb) WITH ORDINALITY AS f (fact, nth);
CREATE TRIGGER events_append_only INSTEAD OF INSERT OR UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION ordain_append_only();
