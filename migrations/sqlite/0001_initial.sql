-- The results database of outgrow, version 1. Users query the views at the end; the tables may change, the views don't.
-- A loss that is not a number is NULL; an infinite one is an infinite REAL. Times are Unix seconds, UTC.

PRAGMA application_id = 1870099319; -- "ougw"

CREATE TABLE sweep (
  id          TEXT PRIMARY KEY,         -- hash of the resolved text and the data's digest
  name        TEXT NOT NULL,
  spec        TEXT NOT NULL,            -- the resolved sweep, TOML
  data_digest TEXT NOT NULL,
  created_at  REAL NOT NULL
) STRICT;

CREATE TABLE trial (
  number        INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,   -- hash of what determines its result
  definition    TEXT NOT NULL,          -- plan, settings and seed, JSON
  tokens        INTEGER NOT NULL,       -- to train
  train_flops   INTEGER NOT NULL,       -- to spend
  parameters    INTEGER NOT NULL,       -- of its target
  state         TEXT NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'running', 'complete', 'diverged', 'pruned', 'failed')),
  epoch         INTEGER NOT NULL DEFAULT 0, -- counts claims; a writer of an older epoch is refused
  crashes       INTEGER NOT NULL DEFAULT 0, -- attempts whose worker died
  error         TEXT                        -- why it failed
) STRICT;
CREATE INDEX trial_state ON trial (state);

CREATE TABLE member ( -- a trial's places in sweeps; one trial may stand in several
  sweep_id  TEXT NOT NULL REFERENCES sweep (id),
  position  INTEGER NOT NULL,           -- order of claiming
  trial     INTEGER NOT NULL REFERENCES trial (number),
  strategy  TEXT NOT NULL,
  kind      TEXT NOT NULL,
  plan      INTEGER NOT NULL,
  replicate INTEGER NOT NULL,
  PRIMARY KEY (sweep_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_trial ON member (trial);

CREATE TABLE environment (
  id       INTEGER PRIMARY KEY,
  host     TEXT NOT NULL,
  device   TEXT NOT NULL,
  threads  INTEGER NOT NULL,
  versions TEXT NOT NULL,               -- outgrow, its commit, libtorch
  UNIQUE (host, device, threads, versions)
) STRICT;

CREATE TABLE attempt (
  id           INTEGER PRIMARY KEY,
  trial        INTEGER NOT NULL REFERENCES trial (number),
  epoch        INTEGER NOT NULL,
  environment  INTEGER NOT NULL REFERENCES environment (id),
  process      TEXT NOT NULL,           -- host, boot, pid and its start: who holds the trial
  started_at   REAL NOT NULL,
  heartbeat_at REAL NOT NULL,
  ended_at     REAL,
  outcome      TEXT CHECK (outcome IN ('complete', 'diverged', 'stopped', 'failed', 'died')),
  train_flops  INTEGER NOT NULL DEFAULT 0, -- what this attempt spent, repeated work included
  UNIQUE (trial, epoch)
) STRICT;

CREATE TABLE step_metric (
  trial         INTEGER NOT NULL REFERENCES trial (number),
  step          INTEGER NOT NULL,
  tokens        INTEGER NOT NULL,
  train_flops   INTEGER NOT NULL,
  wall_seconds  REAL NOT NULL,
  loss          REAL,
  learning_rate REAL NOT NULL,
  gradient_norm REAL,
  attempt       INTEGER NOT NULL REFERENCES attempt (id),
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE eval_metric (
  trial        INTEGER NOT NULL REFERENCES trial (number),
  step         INTEGER NOT NULL,
  tokens       INTEGER NOT NULL,
  train_flops  INTEGER NOT NULL,
  wall_seconds REAL NOT NULL,
  val_loss     REAL,
  is_last      INTEGER NOT NULL,
  attempt      INTEGER NOT NULL REFERENCES attempt (id),
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE growth_event (
  trial             INTEGER NOT NULL REFERENCES trial (number),
  stage             INTEGER NOT NULL,
  step              INTEGER NOT NULL,
  tokens            INTEGER NOT NULL,
  train_flops       INTEGER NOT NULL,
  wall_seconds      REAL NOT NULL,
  transforms        TEXT NOT NULL,      -- JSON
  parameters_before INTEGER NOT NULL,
  parameters_after  INTEGER NOT NULL,
  max_logit_change  REAL,
  max_logit         REAL,
  loss_before       REAL,
  loss_after        REAL,
  tolerance         REAL NOT NULL,      -- for max_logit_change relative to the larger of 1 and max_logit
  seconds           REAL NOT NULL,
  attempt           INTEGER NOT NULL REFERENCES attempt (id),
  PRIMARY KEY (trial, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  trial   INTEGER NOT NULL REFERENCES trial (number),
  step    INTEGER NOT NULL,
  tokens  INTEGER NOT NULL,
  path    TEXT NOT NULL,
  digest  TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt (id),
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

-- The public interface: documented in docs/database.md.

CREATE VIEW curves AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss, e.val_loss / 0.6931471805599453 AS bits_per_byte
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN eval_metric e ON e.trial = m.trial;

CREATE VIEW finals AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state, t.parameters,
       e.tokens, e.train_flops, e.wall_seconds, e.val_loss, e.val_loss / 0.6931471805599453 AS bits_per_byte
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
LEFT JOIN eval_metric e ON e.trial = m.trial
 AND e.step = (SELECT max(step) FROM eval_metric WHERE trial = m.trial);

CREATE VIEW growth AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       g.stage, g.tokens, g.train_flops, g.transforms, g.parameters_before, g.parameters_after,
       g.max_logit_change, g.max_logit_change / max(1.0, g.max_logit) AS error, g.tolerance,
       g.max_logit_change / max(1.0, g.max_logit) <= g.tolerance AS preserved,
       g.loss_after - g.loss_before AS loss_change, g.seconds
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN growth_event g ON g.trial = m.trial;

-- Compute, tokens and wall time at which a trial reached the final validation loss of the from-scratch control of the same
-- sweep and replicate, on a straight line between the last evaluation above that loss and the first at or below it; NULL
-- where it never got there.
CREATE VIEW speedups AS
WITH control AS (
  SELECT sweep_id, replicate, min(val_loss) AS target_loss
  FROM finals WHERE kind = 'from_scratch' AND state = 'complete' GROUP BY sweep_id, replicate
), numbered AS (
  SELECT c.*, control.target_loss,
         lag(val_loss) OVER trial AS loss_before, lag(train_flops) OVER trial AS flops_before,
         lag(tokens) OVER trial AS tokens_before, lag(wall_seconds) OVER trial AS wall_before
  FROM curves c JOIN control USING (sweep_id, replicate)
  WINDOW trial AS (PARTITION BY c.sweep_id, c.strategy, c.plan, c.replicate ORDER BY c.step)
), shares AS (
  SELECT *, row_number() OVER (PARTITION BY sweep_id, strategy, plan, replicate ORDER BY step) AS nth,
         coalesce((loss_before - target_loss) / (loss_before - val_loss), 1.0) AS share
  FROM numbered WHERE val_loss <= target_loss
), reached AS (
  SELECT sweep_id, strategy, kind, plan, replicate,
         coalesce(flops_before, train_flops) + share * (train_flops - coalesce(flops_before, train_flops)) AS train_flops,
         coalesce(tokens_before, tokens) + share * (tokens - coalesce(tokens_before, tokens)) AS tokens,
         coalesce(wall_before, wall_seconds) + share * (wall_seconds - coalesce(wall_before, wall_seconds)) AS wall_seconds
  FROM shares WHERE nth = 1
), base AS (
  SELECT sweep_id, replicate, min(train_flops) AS train_flops, min(tokens) AS tokens, min(wall_seconds) AS wall_seconds
  FROM reached WHERE kind = 'from_scratch' GROUP BY sweep_id, replicate
)
SELECT f.sweep, f.sweep_id, f.strategy, f.kind, f.plan, f.replicate, f.trial, control.target_loss,
       r.train_flops IS NOT NULL AS reached,
       1.0 - r.train_flops / base.train_flops AS compute_saving,
       1.0 - r.tokens / base.tokens AS token_saving,
       1.0 - r.wall_seconds / base.wall_seconds AS wall_saving
FROM finals f
JOIN control ON control.sweep_id = f.sweep_id AND control.replicate = f.replicate
JOIN base ON base.sweep_id = f.sweep_id AND base.replicate = f.replicate
LEFT JOIN reached r ON r.sweep_id = f.sweep_id AND r.strategy = f.strategy AND r.plan = f.plan AND r.replicate = f.replicate
WHERE f.state = 'complete';
