-- What a ledger says of itself, and who has countersigned it. The table stands in ledger.sql.

-- name: newest
SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1;

-- name: note_at
SELECT note FROM checkpoint WHERE size = ?;

-- name: add
INSERT INTO checkpoint (size, at, note) VALUES (?, ?, ?);

-- name: set_note
UPDATE checkpoint SET note = ? WHERE size = ?;

-- name: newest_by
SELECT note FROM checkpoint WHERE instr(note, ?) > 0 ORDER BY size DESC LIMIT 1;

-- name: tile
SELECT hashes FROM tile WHERE level = ? AND idx = ?;
