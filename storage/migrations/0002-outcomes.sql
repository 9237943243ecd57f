-- How what a job measured and predicted early held at its end.
CREATE TABLE outcomes (
  job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  body TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;
