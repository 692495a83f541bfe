-- Every statement of the SQLite store, by name. Records and what follows from them are in one
-- file, because a transaction in WAL mode is not atomic across attached files.

-- name: pragmas
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA foreign_keys = ON;

-- name: version
PRAGMA user_version;

-- name: is_new
SELECT count(*) = 0 FROM sqlite_schema WHERE name = 'event';

-- name: upgrade_1
ALTER TABLE event ADD COLUMN room TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN idx INTEGER NOT NULL DEFAULT -1;

-- name: upgrade_4
ALTER TABLE event ADD COLUMN verdict TEXT;

-- name: stamp
PRAGMA user_version = 5;

-- name: schema
CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, header BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS body (seq INTEGER PRIMARY KEY REFERENCES record, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tile (level INTEGER, idx INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL, edges BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, at INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tag_key (bucket TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, rid TEXT NOT NULL, sender TEXT NOT NULL, action INTEGER, rule TEXT, replaces TEXT, unreadable INTEGER NOT NULL, at INTEGER NOT NULL, room TEXT NOT NULL, session TEXT NOT NULL, idx INTEGER NOT NULL, verdict TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_source ON event (session, idx) WHERE idx >= 0;
CREATE INDEX IF NOT EXISTS event_replaces ON event (replaces, at) WHERE replaces IS NOT NULL;
CREATE TABLE IF NOT EXISTS debt (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, rid TEXT NOT NULL, retention TEXT NOT NULL, message TEXT NOT NULL, sender TEXT NOT NULL, sent_at INTEGER NOT NULL, since INTEGER NOT NULL, effect BLOB NOT NULL, ciphertext BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS post (event TEXT PRIMARY KEY, about TEXT NOT NULL, effect BLOB NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS post_about ON post (about, at);
CREATE TABLE IF NOT EXISTS file (url TEXT NOT NULL, event TEXT NOT NULL, part TEXT NOT NULL, kept INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (url, event)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS file_event ON file (event);
CREATE TABLE IF NOT EXISTS waiting (event TEXT PRIMARY KEY, room TEXT NOT NULL, sender TEXT NOT NULL, sent_at INTEGER NOT NULL, doubt TEXT NOT NULL, source BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pending (log TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (log, seq)) STRICT;
CREATE TABLE IF NOT EXISTS gone (rid TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, first INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS begun (one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT NOT NULL, previous BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS case_file (reference TEXT PRIMARY KEY, title TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS hold (rid TEXT PRIMARY KEY, reference TEXT NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL, released INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS kept (hold TEXT NOT NULL, rid TEXT NOT NULL, log TEXT, seq INTEGER, PRIMARY KEY (hold, rid)) STRICT;
CREATE INDEX IF NOT EXISTS kept_rid ON kept (rid);
CREATE TABLE IF NOT EXISTS disposal (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, custodian TEXT NOT NULL, at INTEGER NOT NULL, log TEXT NOT NULL, next INTEGER NOT NULL, end INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS brake (room TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS approval (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, revision TEXT NOT NULL, by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ruling (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL UNIQUE, rule TEXT NOT NULL, action INTEGER NOT NULL, decision TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS appeal (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, event TEXT NOT NULL, appeal BLOB NOT NULL, stage TEXT NOT NULL, decision TEXT, decided_by TEXT NOT NULL DEFAULT '', decided_at INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS appeal_event ON appeal (event);
CREATE TABLE IF NOT EXISTS pass (user TEXT NOT NULL, room TEXT NOT NULL, action INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user, room)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (mode TEXT NOT NULL, room TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (mode, room)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minute (room TEXT NOT NULL, number INTEGER NOT NULL, rid TEXT NOT NULL, PRIMARY KEY (room, number)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drift (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, key TEXT NOT NULL, room TEXT NOT NULL, care TEXT NOT NULL, sort TEXT NOT NULL, text TEXT NOT NULL, by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cleared (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, room TEXT NOT NULL, name TEXT NOT NULL, messages INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS appraisal (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, item TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL, until INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS label (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, item TEXT NOT NULL, mopi INTEGER NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS telling (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, fact BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_told ON event (sender, at) WHERE rule IS NOT NULL;
CREATE INDEX IF NOT EXISTS post_at ON post (at);
CREATE TRIGGER IF NOT EXISTS record_is_append_only BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS record_is_kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- name: empty_wal
PRAGMA wal_checkpoint(TRUNCATE);

-- name: anything_to_tidy
SELECT EXISTS (SELECT 1 FROM disposal WHERE done = 0) OR EXISTS (SELECT 1 FROM pending) OR EXISTS (SELECT 1 FROM waiting WHERE sent_at < ?);

-- name: add_bucket
INSERT OR IGNORE INTO bucket (name, first) VALUES (?, ?);

-- name: is_whole
PRAGMA quick_check(1);

-- name: begin
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: add_record
INSERT INTO record (seq, header) VALUES (?, ?);

-- name: add_body
INSERT INTO body (seq, body) VALUES (?, ?);

-- name: add_tile
INSERT INTO tile (level, idx, hashes) VALUES (?, ?, ?);

-- name: head
SELECT size, peaks, edges FROM head;

-- name: set_head
INSERT INTO head (one, size, peaks, edges) VALUES (1, ?, ?, ?)
ON CONFLICT (one) DO UPDATE SET size = excluded.size, peaks = excluded.peaks, edges = excluded.edges;

-- name: genesis
SELECT header, body FROM record LEFT JOIN body USING (seq) WHERE seq = 0;

-- name: add_checkpoint
INSERT OR REPLACE INTO checkpoint (size, at, note) VALUES (?, ?, ?);

-- name: newest_checkpoint
SELECT size, at, note FROM checkpoint ORDER BY size DESC LIMIT 1;

-- name: checkpoint_at
SELECT note FROM checkpoint WHERE size = ?;

-- name: checkpoints
SELECT size, note FROM checkpoint ORDER BY size;

-- name: tiles
SELECT level, idx, hashes FROM tile;

-- name: newest_header
SELECT header FROM record ORDER BY seq DESC LIMIT 1;

-- name: all_headers
SELECT seq, header FROM record ORDER BY seq;

-- name: rows
SELECT record.seq, header, body FROM record LEFT JOIN body USING (seq) WHERE record.seq >= ? ORDER BY record.seq LIMIT ?;

-- name: about_earlier
SELECT record.seq, header, body FROM record JOIN body USING (seq)
WHERE instr(header, CAST('"kind":"shred"' AS BLOB)) > 0 OR instr(header, CAST('"kind":"review"' AS BLOB)) > 0
ORDER BY record.seq;

-- name: find
SELECT record.seq, header, body FROM record LEFT JOIN body USING (seq) WHERE instr(header, CAST(? AS BLOB)) > 0 LIMIT 1;

-- name: tag_keys
SELECT bucket, key FROM tag_key;

-- name: add_tag_key
INSERT OR REPLACE INTO tag_key (bucket, key) VALUES (?, ?);

-- name: drop_tag_keys
DELETE FROM tag_key WHERE substr(bucket, -7) < ?;

-- name: cursor
SELECT value FROM cursor;

-- name: set_cursor
INSERT INTO cursor (one, value) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET value = excluded.value;

-- name: add_event
INSERT INTO event (id, rid, sender, action, rule, replaces, unreadable, at, room, session, idx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET rid = excluded.rid, action = excluded.action, replaces = excluded.replaces, unreadable = excluded.unreadable, session = excluded.session, idx = excluded.idx;

-- name: sources
-- Without the likelihood SQLite prefers idx >= 0 to the idx asked for, and reads all of a session.
SELECT event.session, event.idx, event.id
FROM json_each(?) AS asked CROSS JOIN event
  ON event.session = asked.value ->> 0 AND event.idx = asked.value ->> 1 AND likelihood(event.idx >= 0, 0.9999)
ORDER BY event.at, event.id;

-- name: gaps
SELECT count(*) FROM record WHERE CAST(header AS TEXT) LIKE '%"kind":"gap"%';

-- name: refusal_of
SELECT header FROM record
WHERE instr(header, CAST('"kind":"note"' AS BLOB)) > 0 AND instr(header, CAST(? AS BLOB)) > 0
ORDER BY seq DESC LIMIT 1;

-- name: judged
SELECT id FROM event WHERE verdict = ? ORDER BY replaces IS NOT NULL LIMIT 1;

-- name: recorded
SELECT unreadable FROM event WHERE id = ?;

-- name: judge_event
UPDATE event SET action = ?, rule = ?, verdict = ? WHERE id = ?;

-- name: leave_event
UPDATE event SET action = 0 WHERE id = ?;

-- name: set_verdict
UPDATE event SET verdict = ? WHERE id = ? AND verdict IS NULL;

-- name: event_names
SELECT id, rid FROM event;

-- name: events
SELECT id, rid, sender, action, rule, replaces, unreadable, room, at, verdict FROM event WHERE id IN (SELECT value FROM json_each(?));

-- name: event
SELECT id, rid, sender, action, rule, replaces, unreadable, room, at, verdict FROM event WHERE id = ?;

-- name: edits
SELECT id FROM event WHERE replaces = ? ORDER BY at, id;

-- name: add_debt
INSERT OR IGNORE INTO debt (key, rid, retention, message, sender, sent_at, since, effect, ciphertext) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: debt
SELECT rid, retention, effect, message FROM debt WHERE key = ?;

-- name: follow_debt
INSERT OR IGNORE INTO debt (key, rid, retention, message, sender, sent_at, since, effect, ciphertext)
SELECT ?, ?, retention, message, sender, sent_at, ?, ?, ciphertext FROM debt WHERE key = ?;

-- name: debts
SELECT rid, message, sender, sent_at, since, effect, ciphertext, attempts FROM debt ORDER BY ordinal;

-- name: attempt_debt
UPDATE debt SET attempts = attempts + 1 WHERE key = ?;

-- name: settle_debt
DELETE FROM debt WHERE key = ?;

-- name: add_waiting
INSERT OR REPLACE INTO waiting (event, room, sender, sent_at, doubt, source) VALUES (?, ?, ?, ?, ?, ?);

-- name: waiting
SELECT event, room, sender, sent_at, doubt, source FROM waiting WHERE sent_at >= ? ORDER BY sent_at, event;

-- name: drop_waiting
DELETE FROM waiting WHERE event = ?;

-- name: brakes
SELECT room FROM brake;

-- name: set_brake
INSERT OR IGNORE INTO brake (room) VALUES (?);

-- name: drop_brake
DELETE FROM brake WHERE room = ?;

-- name: drop_brakes
DELETE FROM brake;

-- name: set_standing
INSERT OR REPLACE INTO standing (mode, room, since, until, by, reason) VALUES (?, ?, ?, ?, ?, ?);

-- name: drop_standing
DELETE FROM standing WHERE mode = ? AND room = ?;

-- name: drop_standings
DELETE FROM standing WHERE mode = ?;

-- name: standings
SELECT mode, room, since, until, by, reason FROM standing ORDER BY since, mode, room;

-- name: add_minute
INSERT OR IGNORE INTO minute (room, number, rid) VALUES (?, ?, ?);

-- name: minutes
SELECT coalesce(max(number), 0) FROM minute WHERE room = ?;

-- name: newest_told
SELECT id FROM event WHERE sender = ?1 AND rule IS NOT NULL AND (action > 0 OR rule = 'builtin:unreadable') AND ?2 IN ('', room)
ORDER BY at DESC, id LIMIT 1;

-- name: moved_near
SELECT near.id, near.rid, near.sender, near.action, near.rule, near.replaces, near.unreadable, near.room, near.at, near.verdict
FROM event AS here JOIN event AS near ON near.sender = here.sender AND near.at BETWEEN here.at - ?2 AND here.at + ?2
WHERE here.id = ?1 AND near.rule IS NOT NULL AND near.room = here.room AND near.action >= 2 AND near.replaces IS NULL
ORDER BY near.at, near.id;

-- name: sent_counts
SELECT effect ->> 'room', (effect ->> 'effect') || coalesce(' ' || (effect ->> 'moment'), ''), count(*)
FROM (SELECT CAST(effect AS TEXT) AS effect FROM post WHERE at >= ? AND at < ?) GROUP BY 1, 2;

-- name: add_approval
INSERT INTO approval (revision, by) VALUES (?, ?);

-- name: approvals
SELECT revision, by FROM approval ORDER BY ordinal;

-- name: add_ruling
INSERT OR REPLACE INTO ruling (record, rule, action, decision, at) VALUES (?, ?, ?, ?, ?);

-- name: rulings
SELECT record, rule, action, decision FROM ruling WHERE at >= ? ORDER BY ordinal;

-- name: verdict_of
SELECT record.seq, header, NULL FROM record
WHERE instr(header, CAST('"kind":"verdict"' AS BLOB)) > 0 AND instr(header, CAST(? AS BLOB)) > 0
ORDER BY record.seq DESC LIMIT 1;

-- name: add_appeal
INSERT OR IGNORE INTO appeal (rid, event, appeal, stage) VALUES (?, ?, ?, ?);

-- name: move_appeal
UPDATE appeal SET stage = ? WHERE rid = ?;

-- name: decide_appeal
UPDATE appeal SET decision = ?, decided_by = ?, decided_at = ? WHERE rid = ?;

-- name: appeals
SELECT appeal, stage, decision, decided_by, decided_at FROM appeal
WHERE rid IN (SELECT value FROM json_each(?1)) OR event IN (SELECT value FROM json_each(?1)) ORDER BY ordinal;

-- name: open_appeals
SELECT appeal, stage, decision, decided_by, decided_at FROM appeal WHERE decision IS NULL OR decision = 'referred' ORDER BY ordinal;

-- name: add_pass
INSERT OR REPLACE INTO pass (user, room, action, at) VALUES (?, ?, ?, ?);

-- name: use_pass
DELETE FROM pass WHERE user = ? AND room = ?;

-- name: passes
SELECT user, room, action FROM pass WHERE at >= ?;

-- name: add_post
INSERT OR IGNORE INTO post (event, about, effect, at) VALUES (?, ?, ?, ?);

-- name: posts
SELECT event, effect, at FROM post WHERE event IN (SELECT value FROM json_each(?));

-- name: posts_about
SELECT event, effect, at FROM post WHERE about = ? ORDER BY at, event;

-- name: add_file
INSERT OR IGNORE INTO file (url, event, part) VALUES (?, ?, ?);

-- name: keep_file
UPDATE file SET kept = 1 WHERE url = ? AND event = ?;

-- name: files
SELECT url, event, part, kept FROM file WHERE event IN (SELECT value FROM json_each(?)) OR url = ?
ORDER BY event, part, url;
