-- Jobs and tasks are listed by kind, newest first. Orders and shipments stay out of it: their kinds are most of the
-- table, and an order's row is written too often to keep an index of it that nobody reads.
CREATE INDEX workflows_by_kind ON workflows (kind, key) WHERE kind NOT IN ('order', 'shipping');
