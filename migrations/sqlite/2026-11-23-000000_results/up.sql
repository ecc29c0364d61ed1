-- What workflows found out, beside their state: rows of JSON, written in the commit of the transition that records them.
-- `workflow` is the root of the family.
CREATE TABLE results (
    workflow BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (workflow, name)
);

-- For people.
CREATE VIEW invoices AS
SELECT r.name AS invoice_id,
       w.id AS task_id,
       json_extract(w.snapshot, '$.state.start.params.company_id') AS company_id,
       json_extract(r.body, '$.number') AS number,
       json_extract(r.body, '$.issued_on') AS issued_on,
       json_extract(r.body, '$.due_on') AS due_on,
       json_extract(r.body, '$.seller.name') AS seller,
       json_extract(r.body, '$.amount') AS amount,
       json_extract(r.body, '$.currency') AS currency,
       r.body AS invoice_json,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.at / 1000.0, 'unixepoch') AS fetched_at
FROM results r
JOIN workflows w ON w.key = r.workflow
WHERE w.kind = 'gdt_invoice_import';
