-- How rooms drifted, what was disposed of in them, and what people decided. The tables stand in
-- ledger.sql, with all the others.

-- name: add_drift
INSERT OR IGNORE INTO drift (rid, at, key, room, care, sort, text, by) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: drifts
SELECT rid, at, key, room, care, sort, text, by FROM drift ORDER BY ordinal DESC LIMIT ?;

-- name: add_cleared
INSERT OR IGNORE INTO cleared (rid, at, room, name, messages, text) VALUES (?, ?, ?, ?, ?, ?);

-- name: cleared
SELECT rid, at, room, name, messages, text FROM cleared ORDER BY ordinal DESC LIMIT ?;

-- name: add_appraisal
INSERT OR IGNORE INTO appraisal (rid, at, item, fate, reason, by, until) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: appraisals
SELECT rid, at, item, fate, reason, by, until FROM appraisal ORDER BY ordinal;

-- name: add_label
INSERT OR IGNORE INTO label (rid, at, item, mopi, reason, by) VALUES (?, ?, ?, ?, ?, ?);

-- name: labels
SELECT rid, at, item, mopi, reason, by FROM label ORDER BY ordinal;
