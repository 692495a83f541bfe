-- What people were told about their rooms. The table stands in ledger.sql, with all the others.

-- name: add_telling
INSERT INTO telling (at, fact) VALUES (?, ?);

-- name: tellings
SELECT at, fact FROM telling ORDER BY ordinal;
