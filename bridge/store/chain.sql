-- Closing one log and beginning the next.

-- name: begun
INSERT INTO begun (one, origin, previous) VALUES (1, ?, ?);

-- name: how_begun
SELECT origin, previous FROM begun;

-- name: empty_wal
PRAGMA wal_checkpoint(TRUNCATE);

-- name: attach
ATTACH DATABASE ? AS old;

-- name: detach
DETACH DATABASE old;

-- name: carry_over
BEGIN IMMEDIATE;
INSERT INTO cursor SELECT * FROM old.cursor;
INSERT INTO event SELECT * FROM old.event;
INSERT INTO debt SELECT * FROM old.debt;
INSERT INTO post SELECT * FROM old.post;
INSERT INTO file SELECT * FROM old.file;
INSERT INTO appeal SELECT * FROM old.appeal;
INSERT INTO pass SELECT * FROM old.pass;
INSERT INTO waiting SELECT * FROM old.waiting;
INSERT INTO brake SELECT * FROM old.brake;
INSERT INTO approval SELECT * FROM old.approval;
INSERT INTO ruling SELECT * FROM old.ruling;
INSERT INTO standing SELECT * FROM old.standing;
INSERT INTO minute SELECT * FROM old.minute;
INSERT INTO drift SELECT * FROM old.drift;
INSERT INTO cleared SELECT * FROM old.cleared;
INSERT INTO appraisal SELECT * FROM old.appraisal;
INSERT INTO label SELECT * FROM old.label;
INSERT INTO telling SELECT * FROM old.telling;
INSERT INTO case_file SELECT * FROM old.case_file;
INSERT INTO hold SELECT * FROM old.hold;
INSERT INTO kept SELECT * FROM old.kept;
INSERT INTO disposal SELECT * FROM old.disposal;
INSERT INTO gone SELECT * FROM old.gone;
INSERT INTO pending SELECT * FROM old.pending;
COMMIT;

-- name: name_kept
UPDATE kept SET log = ? WHERE log = '';

-- name: name_disposals
UPDATE disposal SET log = ? WHERE log = '';

-- name: name_pending
UPDATE pending SET log = ? WHERE log = '';

-- name: newest_header
SELECT header FROM record ORDER BY seq DESC LIMIT 1;
