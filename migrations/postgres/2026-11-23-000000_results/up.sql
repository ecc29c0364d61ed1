-- What workflows found out, beside their state: rows of JSON, written in the commit of the transition that records them.
-- `workflow` is the root of the family.
CREATE TABLE results (
    workflow BIGINT NOT NULL,
    name     TEXT   NOT NULL COLLATE "C",
    at       BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (workflow, name)
);

-- For people.
CREATE VIEW invoices AS
SELECT r.name AS invoice_id,
       w.id AS task_id,
       w.snapshot::jsonb #>> '{state,start,params,company_id}' AS company_id,
       r.body::jsonb ->> 'number' AS number,
       r.body::jsonb ->> 'issued_on' AS issued_on,
       r.body::jsonb ->> 'due_on' AS due_on,
       r.body::jsonb #>> '{seller,name}' AS seller,
       r.body::jsonb ->> 'amount' AS amount,
       r.body::jsonb ->> 'currency' AS currency,
       r.body::jsonb AS invoice_json,
       ordain_time(r.at) AS fetched_at
FROM results r
JOIN workflows w ON w.key = r.workflow
WHERE w.kind = 'gdt_invoice_import';
