-- name: copy_in
-- A kernel's rows; the table is made by the query that goes with the one that merges it.
COPY incoming FROM STDIN (FORMAT BINARY);

-- name: drop_incoming
DROP TABLE incoming;
