-- The few that are tried again at this moment. A row comes in when an attempt has failed and goes when it is over: an
-- order that goes well never touches it.
CREATE INDEX workflows_retrying ON workflows (root) WHERE retrying AND ended_at IS NULL;
