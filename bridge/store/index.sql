-- A sidecar that finds records by what stands in the clear in their headers. It can be deleted at
-- any time, and is made again from the ledger.

-- name: pragmas
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;

-- name: schema
CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, origin TEXT NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, size INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facet (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, class TEXT NOT NULL, action TEXT NOT NULL, rule TEXT NOT NULL, what TEXT NOT NULL, UNIQUE (kind, class, action, rule, what)) STRICT;
CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, t INTEGER NOT NULL, facet INTEGER NOT NULL, rid BLOB NOT NULL, ref BLOB, room BLOB, sender BLOB) STRICT;
CREATE TABLE IF NOT EXISTS tally (hour INTEGER NOT NULL, facet INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (hour, facet)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS head_rid ON head (rid);
CREATE INDEX IF NOT EXISTS head_ref ON head (ref) WHERE ref IS NOT NULL;
CREATE INDEX IF NOT EXISTS head_room ON head (room, t) WHERE room IS NOT NULL;
CREATE INDEX IF NOT EXISTS head_sender ON head (sender, t) WHERE sender IS NOT NULL;
CREATE INDEX IF NOT EXISTS head_facet ON head (facet, t);

PRAGMA user_version = 2;

-- name: clear
DROP TABLE IF EXISTS log;
DROP TABLE IF EXISTS facet;
DROP TABLE IF EXISTS head;
DROP TABLE IF EXISTS tally;

-- name: begin
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: logs
SELECT number, origin, first, last, size FROM log ORDER BY number;

-- name: set_log
INSERT INTO log (number, origin, first, last, size) VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET last = excluded.last, size = excluded.size;

-- name: add_facet
INSERT INTO facet (id, kind, class, action, rule, what) VALUES (?, ?, ?, ?, ?, ?);

-- name: facets
SELECT id, kind, class, action, rule, what FROM facet;

-- name: add
INSERT OR IGNORE INTO head (id, t, facet, rid, ref, room, sender) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: count
INSERT INTO tally (hour, facet, count) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count;

-- name: change
UPDATE head SET facet = ? WHERE id = ?;

-- name: with_all_about
WITH RECURSIVE about (rid) AS (
  VALUES (?) UNION SELECT head.rid FROM head JOIN about ON head.ref = about.rid
)
SELECT id, t, facet, head.rid FROM head WHERE rid IN (SELECT rid FROM about);

-- name: rids_of
SELECT rid FROM head WHERE facet IN (SELECT value FROM json_each(?));

-- name: tallies
SELECT hour, facet, count FROM tally WHERE hour >= ? AND hour < ?;

-- name: by_rid
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE rid IN (SELECT unhex(value) FROM json_each(?));

-- name: by_ref
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE ref IN (SELECT unhex(value) FROM json_each(?)) ORDER BY id;

-- name: by_facet
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE facet = ? AND t >= ? AND t < ? ORDER BY t DESC, id DESC LIMIT ?;

-- name: by_room_down
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE room = unhex(?1) AND t >= ?2 AND t < ?3 AND facet IN (SELECT value FROM json_each(?4)) AND (?5 = '' OR sender IN (SELECT unhex(value) FROM json_each(?5))) ORDER BY t DESC, id DESC LIMIT ?6;

-- From a record on, by when it was written and then by its number: records of one write have one time.
-- name: by_room_after
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE room = unhex(?1) AND t >= max(?2, coalesce((SELECT t FROM head WHERE id <= ?6 ORDER BY id DESC LIMIT 1), -1)) AND t < ?3 AND facet IN (SELECT value FROM json_each(?4)) AND (t, id) > (coalesce((SELECT t FROM head WHERE id <= ?6 ORDER BY id DESC LIMIT 1), -1), ?6) ORDER BY t, id LIMIT ?5;

-- name: by_room_before
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE room = unhex(?1) AND t >= ?2 AND t <= min(?3 - 1, coalesce((SELECT t FROM head WHERE id >= ?6 ORDER BY id LIMIT 1), 9007199254740992)) AND facet IN (SELECT value FROM json_each(?4)) AND (t, id) < (coalesce((SELECT t FROM head WHERE id >= ?6 ORDER BY id LIMIT 1), 9007199254740992), ?6) ORDER BY t DESC, id DESC LIMIT ?5;

-- name: by_sender_down
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE sender = unhex(?1) AND t >= ?2 AND t < ?3 AND facet IN (SELECT value FROM json_each(?4)) AND (?5 = '' OR room IN (SELECT unhex(value) FROM json_each(?5))) ORDER BY t DESC, id DESC LIMIT ?6;

-- The plus keeps SQLite from sorting what it finds by facet: in their own order they need no sorting.
-- name: before
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE id < ? AND t >= ? AND t < ? AND +facet IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?;

-- name: numbers
SELECT id FROM head WHERE id < ? AND t >= ? AND t < ? AND +facet IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?;

-- name: by_number
SELECT id, t, facet, rid, ref, room, sender FROM head WHERE id IN (SELECT value FROM json_each(?));

-- name: removals
SELECT done.t, done.t - message.t FROM head AS done
JOIN head AS owed ON owed.rid = done.ref JOIN head AS message ON message.rid = owed.ref
WHERE done.facet = ? AND done.t >= ? ORDER BY done.t DESC LIMIT ?;

-- name: rows_at
SELECT record.seq, header, body FROM json_each(?) AS asked JOIN record ON record.seq = asked.value LEFT JOIN body ON body.seq = record.seq;

-- name: rows_between
SELECT record.seq, header, body FROM record LEFT JOIN body ON body.seq = record.seq WHERE record.seq BETWEEN ? AND ?;

-- name: headers
SELECT seq, header FROM record WHERE seq >= ? AND seq < ? ORDER BY seq;

-- name: named
SELECT id, rid FROM event WHERE id IN (SELECT value FROM json_each(?));
