DROP VIEW invoices;
DROP TABLE results;
