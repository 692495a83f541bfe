-- What is to stay and what has gone. The tables stand in ledger.sql, with all the others.

-- name: add_case
INSERT OR IGNORE INTO case_file (reference, title, by, at) VALUES (?, ?, ?, ?);

-- name: add_hold
INSERT OR IGNORE INTO hold (rid, reference, reason, by, at) VALUES (?, ?, ?, ?, ?);

-- name: release_hold
UPDATE hold SET released = ? WHERE rid = ? AND released IS NULL;

-- name: released
SELECT log, seq FROM kept WHERE hold = ? AND seq IS NOT NULL AND rid NOT IN (
  SELECT kept.rid FROM kept JOIN hold ON hold.rid = kept.hold WHERE hold.released IS NULL);

-- name: add_kept
INSERT OR IGNORE INTO kept (hold, rid) VALUES (?, ?);

-- name: kept
SELECT DISTINCT kept.rid FROM kept JOIN hold ON hold.rid = kept.hold WHERE hold.released IS NULL;

-- name: place_kept
UPDATE kept SET log = ?, seq = ? WHERE rid = ?;

-- name: add_disposal
INSERT INTO disposal (bucket, custodian, at, log, next, end) VALUES (?, ?, ?, ?, ?, ?);

-- name: bucket_first
SELECT first FROM bucket WHERE name = ?;

-- name: size
SELECT size FROM head;

-- name: open_disposals
SELECT ordinal, bucket, log, next, end FROM disposal WHERE done = 0 ORDER BY ordinal;

-- name: move_disposal
UPDATE disposal SET next = ?, done = ? WHERE ordinal = ?;

-- name: headers
SELECT seq, header FROM record WHERE seq >= ? AND seq < ? ORDER BY seq;

-- name: drop_body
DELETE FROM body WHERE seq = ?;

-- name: place_of
SELECT seq FROM record WHERE instr(header, CAST(? AS BLOB)) > 0;

-- name: forget_posts_about
DELETE FROM post WHERE about IN (SELECT id FROM event WHERE rid = ?);

-- name: forget_appeals_about
DELETE FROM appeal WHERE event IN (SELECT id FROM event WHERE rid = ?);

-- name: forget_files_of
DELETE FROM file WHERE event IN (SELECT id FROM event WHERE rid = ?);

-- name: forget_files
DELETE FROM file WHERE event IN (SELECT id FROM event WHERE rid IN (SELECT rid FROM gone));

-- name: forget_event
DELETE FROM event WHERE rid = ?;

-- name: add_pending
INSERT OR IGNORE INTO pending (log, seq) VALUES (?, ?);

-- name: pending
SELECT log, seq FROM pending ORDER BY log, seq;

-- name: settle_pending
DELETE FROM pending WHERE log = ? AND seq = ?;

-- name: note_gone
INSERT OR IGNORE INTO gone (rid) VALUES (?);

-- name: forget_posts
DELETE FROM post WHERE about IN (SELECT id FROM event WHERE rid IN (SELECT rid FROM gone));

-- name: forget_appeals
DELETE FROM appeal WHERE event IN (SELECT id FROM event WHERE rid IN (SELECT rid FROM gone));

-- name: drop_old_passes
DELETE FROM pass WHERE at < ?;

-- name: forget_events
DELETE FROM event WHERE rid IN (SELECT rid FROM gone);

-- name: empty_gone
DELETE FROM gone;

-- name: drop_old_waiting
DELETE FROM waiting WHERE sent_at < ?;

-- name: empty_wal
PRAGMA wal_checkpoint(TRUNCATE);

-- name: cases
SELECT reference, title, by, at FROM case_file ORDER BY at, reference;

-- name: holds
SELECT hold.rid, reference, reason, by, at, released, (SELECT count(*) FROM kept WHERE kept.hold = hold.rid) FROM hold ORDER BY at, hold.rid;

-- name: disposals
SELECT bucket, custodian, at, done FROM disposal ORDER BY ordinal;

-- name: buckets
SELECT name, record.seq, header, body FROM bucket JOIN record ON record.seq = bucket.first JOIN body ON body.seq = bucket.first ORDER BY name;
