-- The first schema. Times are milliseconds since 1970, 0 = not yet. JSON is
-- stored as text and never looked into, but for labels. Rows of a job point at
-- jobs.seq and go with the job; job_events name the job by its id, so that the
-- event that tells of a deletion can outlive the job.

PRAGMA application_id = 1397637459; -- "SNAS"

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('clean', 1), ('probe', 0);

CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL DEFAULT 1,
  name TEXT NOT NULL,
  spec_given TEXT NOT NULL,
  spec_resolved TEXT NOT NULL,
  labels TEXT NOT NULL CHECK (json_valid(labels)),
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'stopping',
    'paused', 'succeeded', 'failed', 'cancelled')),
  stop_for TEXT NOT NULL DEFAULT ''
    CHECK (stop_for IN ('', 'queued', 'paused', 'cancelled', 'failed')),
  paused_by TEXT NOT NULL DEFAULT ''
    CHECK (paused_by IN ('', 'user', 'disk')),
  reason TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL DEFAULT 0,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  phase TEXT NOT NULL DEFAULT '',
  progress TEXT NOT NULL DEFAULT '',
  cost TEXT NOT NULL DEFAULT '',
  supernet_step INTEGER NOT NULL DEFAULT 0,
  supernet_xxh3 TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX jobs_by_priority ON jobs (priority DESC, seq);
CREATE INDEX jobs_by_name ON jobs (name, seq);
CREATE INDEX jobs_by_state ON jobs (state);

-- AUTOINCREMENT: a number is never given twice, also after rows are deleted.
CREATE TABLE job_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  job TEXT NOT NULL,
  type TEXT NOT NULL,
  payload TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX job_events_by_job ON job_events (job, seq);

CREATE TABLE series (
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  value REAL, -- NULL: not a number
  epoch REAL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (job, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE architectures (
  id INTEGER PRIMARY KEY,
  space TEXT NOT NULL,
  arch TEXT NOT NULL,
  macs INTEGER,
  params INTEGER,
  peak_memory INTEGER,
  UNIQUE (space, arch)
) STRICT;

-- The UNIQUE is what makes a replay after a resume harmless.
CREATE TABLE evaluations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  arch INTEGER NOT NULL REFERENCES architectures (id),
  stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2), -- early final verify
  split TEXT NOT NULL,
  step INTEGER NOT NULL, -- the weights version
  phase_index INTEGER NOT NULL,
  correct INTEGER NOT NULL,
  images INTEGER NOT NULL,
  accuracy REAL NOT NULL,
  predicted REAL,
  selected INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE (job, arch, stage, split, step)
) STRICT;
CREATE INDEX evaluations_by_step
  ON evaluations (job, split, stage, step, accuracy);

-- As one job knows them: another job's measurement changes no answer of it.
CREATE TABLE arch_latencies (
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  arch INTEGER NOT NULL REFERENCES architectures (id),
  device TEXT NOT NULL,
  runtime TEXT NOT NULL,
  predicted_ms REAL,
  measured_ms REAL,
  ci_low_ms REAL,
  ci_high_ms REAL,
  PRIMARY KEY (job, arch, device, runtime)
) STRICT, WITHOUT ROWID;

CREATE TABLE predictors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
  round INTEGER NOT NULL,
  step INTEGER NOT NULL,
  kind TEXT NOT NULL,
  used INTEGER NOT NULL,
  tau REAL,
  tau_low REAL,
  tau_high REAL,
  spearman REAL,
  mae REAL,
  quality TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE (job, stage, round)
) STRICT;

CREATE TABLE predictor_scores (
  predictor INTEGER NOT NULL REFERENCES predictors (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  arch TEXT NOT NULL,
  predicted REAL,
  measured REAL,
  cost REAL,
  PRIMARY KEY (predictor, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE subspaces (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  round INTEGER NOT NULL,
  step INTEGER NOT NULL,
  n_scored INTEGER NOT NULL,
  n_members INTEGER NOT NULL,
  rule TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE (job, round)
) STRICT;

CREATE TABLE subspace_members (
  subspace INTEGER NOT NULL REFERENCES subspaces (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  arch TEXT NOT NULL,
  score REAL,
  cost REAL,
  band INTEGER NOT NULL,
  PRIMARY KEY (subspace, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE fronts (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  cost TEXT NOT NULL,
  device TEXT NOT NULL,
  version INTEGER NOT NULL,
  as_of_step INTEGER NOT NULL,
  items TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE (job, cost, device, version)
) STRICT;

CREATE TABLE checkpoints (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  phase TEXT NOT NULL,
  file TEXT NOT NULL,
  xxh3 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  UNIQUE (job, file)
) STRICT;

CREATE TABLE latencies (
  device TEXT NOT NULL,
  runtime TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  key TEXT NOT NULL,
  median_ns REAL NOT NULL,
  spread_ns REAL,
  samples INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (device, runtime, fingerprint, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  key TEXT PRIMARY KEY,
  request TEXT NOT NULL,
  job TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (time_ms);
CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job);

CREATE TABLE datasets (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  xxh3 TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE spaces (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  xxh3 TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  xxh3 TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE supernets (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  xxh3 TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;
