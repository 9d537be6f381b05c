-- A transaction that is approved as a whole, before it begins: docs/postgres.md, "Plans".
-- The SET waits for the approval; a second psql with the same file joins it.
SET countersign.plan = $plan$
BEGIN;
DELETE FROM orders WHERE customer_id = 3;
DELETE FROM customers WHERE id = 3;
COMMIT
$plan$;

BEGIN;
DELETE FROM orders WHERE customer_id = 3;
DELETE FROM customers WHERE id = 3;
COMMIT;
