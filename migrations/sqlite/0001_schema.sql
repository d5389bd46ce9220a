-- The results database of outgrow, as a SQLite file, version 1; the other backend's file makes the
-- same tables and views. Users query the views at the end; the tables may change, the views don't.
-- Times are Unix seconds, UTC. A loss that is not a number is NULL; an infinite one is an infinite
-- REAL. FLOPs are exact INTEGERs up to 2^63 - 1 and the nearest REAL beyond.

PRAGMA application_id = 1870099319; -- "ougw"

CREATE TABLE sweep (
  id          TEXT PRIMARY KEY,         -- hash of the resolved text and the data's digest
  name        TEXT NOT NULL,
  spec        TEXT NOT NULL,            -- the resolved sweep, TOML
  data_digest TEXT NOT NULL,
  created_at  REAL NOT NULL,
  evaluated_tokens INTEGER CHECK (evaluated_tokens > 0), -- that an evaluation predicts
  evaluated_bytes INTEGER CHECK (evaluated_bytes >= 0), -- of text that these tokens stand for
  tokenizer   TEXT,                     -- digest of the tokenizer; NULL without one
  text_tokens INTEGER CHECK (text_tokens > 0), -- of the training text
  words       TEXT NOT NULL DEFAULT '{}' -- notes, tags, display names, contrasts: JSON
) STRICT;

CREATE TABLE trial (
  number        INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,   -- hash of what determines its result
  definition    TEXT NOT NULL,          -- plan, settings and seed, JSON
  tokens        INTEGER NOT NULL,       -- to train
  parameters    INTEGER NOT NULL,       -- of its target
  state         TEXT NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'running', 'complete', 'diverged', 'pruned', 'failed')),
  epoch         INTEGER NOT NULL DEFAULT 0, -- counts claims; a writer of an older epoch is refused
  crashes       INTEGER NOT NULL DEFAULT 0, -- attempts whose worker died
  error         TEXT,                   -- why it failed
  learning_rate REAL,                   -- the peak
  micro_batches INTEGER NOT NULL DEFAULT 1 -- that its batch is cut into, for memory
                CHECK (micro_batches > 0),
  not_before    REAL,                   -- a trial whose worker died waits until then
  train_flops   ANY NOT NULL DEFAULT 0  -- to spend
                CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0)
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
  learning_rate REAL NOT NULL DEFAULT 0, -- the trial's peak
  setting   TEXT NOT NULL DEFAULT '', -- the point of the sweep's grid beside that
  budget    REAL CHECK (budget > 0), -- of the sweep's frontier, in its unit; NULL without one
  tuning    INTEGER NOT NULL DEFAULT 0 CHECK (tuning IN (0, 1)), -- whether it only helps to choose a rate or setting
  PRIMARY KEY (sweep_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_trial ON member (trial);
CREATE UNIQUE INDEX member_place ON member (sweep_id, strategy, plan, replicate, learning_rate, setting, coalesce(budget, 0));

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
  note         TEXT,                    -- why it stopped, where that is not obvious
  stacked_replicates INTEGER NOT NULL DEFAULT 1 -- trained as one model
               CHECK (stacked_replicates > 0),
  predicted_bytes INTEGER,              -- of memory, for all of them
  peak_bytes   INTEGER,                 -- as measured, of the worker's process
  batch        INTEGER NOT NULL DEFAULT 0, -- the last batch of events that is written
  log          TEXT,                    -- the last lines of a worker that died
  -- What this attempt spent, repeated work included. It may stand a little below zero, for it is
  -- charged from the last recorded step on.
  train_flops  ANY NOT NULL DEFAULT 0
                CHECK (typeof(train_flops) IN ('integer', 'real')),
  UNIQUE (trial, epoch)
) STRICT;

CREATE TABLE step_metric (
  trial         INTEGER NOT NULL REFERENCES trial (number),
  step          INTEGER NOT NULL,
  tokens        INTEGER NOT NULL,
  wall_seconds  REAL NOT NULL,
  loss          REAL,
  learning_rate REAL NOT NULL,
  gradient_norm REAL,
  attempt       INTEGER NOT NULL REFERENCES attempt (id),
  train_flops   ANY NOT NULL DEFAULT 0
                CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0),
  checksum      INTEGER NOT NULL DEFAULT 0, -- of what was measured; 0: none
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE eval_metric (
  trial        INTEGER NOT NULL REFERENCES trial (number),
  step         INTEGER NOT NULL,
  tokens       INTEGER NOT NULL,
  wall_seconds REAL NOT NULL,
  val_loss     REAL,
  is_last      INTEGER NOT NULL,
  attempt      INTEGER NOT NULL REFERENCES attempt (id),
  train_flops   ANY NOT NULL DEFAULT 0
                CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0),
  checksum      INTEGER NOT NULL DEFAULT 0, -- of what was measured; 0: none
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE growth_event (
  trial             INTEGER NOT NULL REFERENCES trial (number),
  stage             INTEGER NOT NULL,
  step              INTEGER NOT NULL,
  tokens            INTEGER NOT NULL,
  wall_seconds      REAL NOT NULL,
  transforms        TEXT NOT NULL,      -- JSON
  parameters_before INTEGER NOT NULL,
  parameters_after  INTEGER NOT NULL,
  max_logit_change  REAL,
  max_logit         REAL,
  loss_before       REAL,
  loss_after        REAL,
  tolerance         REAL NOT NULL,      -- of max_logit_change over max(1, max_logit)
  seconds           REAL NOT NULL,
  attempt           INTEGER NOT NULL REFERENCES attempt (id),
  axes              TEXT,               -- JSON
  preserving        INTEGER NOT NULL DEFAULT 1, -- whether it claims to preserve the function
  diagnosis         TEXT,               -- JSON: what the growth doctor found
  train_flops       ANY NOT NULL DEFAULT 0
                CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0),
  operator_flops    ANY NOT NULL DEFAULT 0 -- that an operator spent on itself, within train_flops
                CHECK (typeof(operator_flops) IN ('integer', 'real') AND operator_flops >= 0),
  checksum          INTEGER NOT NULL DEFAULT 0, -- of what was measured; 0: none
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

CREATE TABLE shared_prefix ( -- trials whose first steps are those of an earlier trial of the sweep
  sweep_id TEXT NOT NULL REFERENCES sweep (id),
  trial    INTEGER NOT NULL REFERENCES trial (number),
  parent   INTEGER NOT NULL REFERENCES trial (number),
  step     INTEGER NOT NULL,            -- steps in common
  PRIMARY KEY (sweep_id, trial)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_prefix_parent ON shared_prefix (parent);

-- A state that other trials begin from; it goes when none of them is left to train.
CREATE TABLE snapshot (
  trial       INTEGER NOT NULL REFERENCES trial (number), -- whose training it is from
  step        INTEGER NOT NULL,
  path        TEXT NOT NULL,
  train_flops ANY NOT NULL DEFAULT 0    -- spent up to there
                CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0),
  digest      TEXT,                     -- of the head of its checkpoint
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

-- What a report estimates of a sweep with a frontier, which no query can say: made anew when the last
-- of its trials has ended, from so many complete ones.
CREATE TABLE frontier_estimate (
  sweep_id    TEXT NOT NULL REFERENCES sweep (id),
  budget      REAL NOT NULL CHECK (budget > 0), -- of the sweep's frontier, in its unit
  unit        TEXT NOT NULL,
  train_flops REAL NOT NULL,
  n_star      REAL,
  n_star_low  REAL,
  n_star_high REAL,
  val_loss    REAL,
  val_loss_low  REAL,
  val_loss_high REAL,
  law_minus_vertex REAL,
  n           INTEGER,
  reason      TEXT,                     -- why there is no vertex
  trials      INTEGER NOT NULL,             -- complete ones that it was made from
  PRIMARY KEY (sweep_id, budget)
) STRICT, WITHOUT ROWID;

CREATE TABLE gap_estimate (
  sweep_id    TEXT NOT NULL REFERENCES sweep (id),
  budget      REAL NOT NULL CHECK (budget > 0),
  strategy    TEXT NOT NULL,
  unit        TEXT NOT NULL,
  train_flops REAL NOT NULL,
  gap         REAL,
  gap_low     REAL,
  gap_high    REAL,
  p_holm      REAL,
  multiplier  REAL,
  multiplier_low  REAL,
  multiplier_high REAL,
  censored    TEXT CHECK (censored IN ('above', 'below')), -- where the multiplier is a bound
  n           INTEGER,
  reason      TEXT,                     -- why there is no gap
  trials      INTEGER NOT NULL,
  PRIMARY KEY (sweep_id, budget, strategy)
) STRICT, WITHOUT ROWID;

-- The public interface: documented in docs/database.md.

CREATE VIEW curves AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss,
       e.val_loss / 0.6931471805599453 AS bits_per_token,
       e.val_loss / 0.6931471805599453 * s.evaluated_tokens / nullif(s.evaluated_bytes, 0) AS bits_per_byte,
       m.learning_rate, m.setting, m.budget, m.tuning
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN eval_metric e ON e.trial = m.trial;

CREATE VIEW finals AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state, t.parameters,
       e.tokens, e.train_flops, e.wall_seconds, e.val_loss,
       e.val_loss / 0.6931471805599453 AS bits_per_token,
       e.val_loss / 0.6931471805599453 * s.evaluated_tokens / nullif(s.evaluated_bytes, 0) AS bits_per_byte,
       m.learning_rate, m.setting, m.budget, m.tuning
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
       g.loss_after - g.loss_before AS loss_change, g.seconds,
       g.preserving, g.operator_flops, g.diagnosis, m.learning_rate, m.setting, m.budget, m.tuning
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN growth_event g ON g.trial = m.trial;

-- The learning rate, and the setting of the grid, of each strategy of a sweep at each budget of its
-- frontier: of those where seeds are compared, and of these of those with the most complete trials,
-- the one with the lowest mean final loss; by the seeds that only tune, where some of them are complete.
CREATE VIEW tuned AS
WITH choosing AS (
  SELECT *, max(tuning) OVER (PARTITION BY sweep_id, strategy, budget) AS tunes,
         max(1 - tuning) OVER (PARTITION BY sweep_id, strategy, budget, learning_rate, setting) AS compared FROM finals WHERE state = 'complete'
), arms AS (
  SELECT sweep, sweep_id, strategy, kind, learning_rate, setting, budget, count(*) AS trials, avg(val_loss) AS mean_val_loss,
         avg(bits_per_byte) AS mean_bits_per_byte, max(compared) AS compared
  FROM choosing WHERE tuning = tunes GROUP BY sweep_id, strategy, learning_rate, setting, budget
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY sweep_id, strategy, budget ORDER BY compared DESC, trials DESC, mean_val_loss, learning_rate, setting) AS place
  FROM arms
)
SELECT sweep, sweep_id, strategy, kind, learning_rate, setting, trials, mean_val_loss, mean_bits_per_byte, budget FROM placed WHERE place = 1;

-- Compute, tokens and wall time at which a trial of a tuned strategy reached the final validation
-- loss of the tuned from-scratch control of the same sweep, replicate and budget, on a straight
-- line between the last evaluation above that loss and the first at or below it; NULL where it never
-- got there. `at_budget` is 0 without a frontier.
CREATE VIEW speedups AS
WITH ends AS (
  SELECT f.*, coalesce(f.budget, 0) AS at_budget FROM finals f
  JOIN tuned ON tuned.sweep_id = f.sweep_id AND tuned.strategy = f.strategy AND tuned.learning_rate = f.learning_rate AND tuned.setting = f.setting AND coalesce(tuned.budget, 0) = coalesce(f.budget, 0)
  WHERE f.state = 'complete' AND f.tuning = 0
), control AS (
  SELECT sweep_id, replicate, at_budget, min(val_loss) AS target_loss, min(bits_per_byte) AS target_bits_per_byte FROM ends WHERE kind = 'from_scratch' GROUP BY sweep_id, replicate, at_budget
), source AS (
  SELECT sweep_id, trial, min(train_flops - operator_flops) AS flops FROM growth GROUP BY sweep_id, trial
), numbered AS (
  SELECT c.*, control.at_budget, control.target_loss,
         lag(c.val_loss) OVER own AS loss_before, lag(c.train_flops) OVER own AS flops_before,
         lag(c.tokens) OVER own AS tokens_before, lag(c.wall_seconds) OVER own AS wall_before
  FROM curves c
  JOIN control ON control.sweep_id = c.sweep_id AND control.replicate = c.replicate AND control.at_budget = coalesce(c.budget, 0)
  JOIN tuned ON tuned.sweep_id = c.sweep_id AND tuned.strategy = c.strategy AND tuned.learning_rate = c.learning_rate AND tuned.setting = c.setting AND coalesce(tuned.budget, 0) = control.at_budget
  WINDOW own AS (PARTITION BY c.sweep_id, c.strategy, c.plan, c.replicate, control.at_budget ORDER BY c.step)
), shares AS (
  SELECT *, row_number() OVER (PARTITION BY sweep_id, strategy, plan, replicate, at_budget ORDER BY step) AS nth,
         coalesce((loss_before - target_loss) / (loss_before - val_loss), 1.0) AS share
  FROM numbered WHERE val_loss <= target_loss
), reached AS (
  SELECT sweep_id, strategy, kind, plan, replicate, at_budget,
         coalesce(flops_before, train_flops) + share * (train_flops - coalesce(flops_before, train_flops)) AS train_flops,
         coalesce(tokens_before, tokens) + share * (tokens - coalesce(tokens_before, tokens)) AS tokens,
         coalesce(wall_before, wall_seconds) + share * (wall_seconds - coalesce(wall_before, wall_seconds)) AS wall_seconds
  FROM shares WHERE nth = 1
), base AS (
  SELECT sweep_id, replicate, at_budget, min(train_flops) AS train_flops, min(tokens) AS tokens, min(wall_seconds) AS wall_seconds
  FROM reached WHERE kind = 'from_scratch' GROUP BY sweep_id, replicate, at_budget
)
SELECT f.sweep, f.sweep_id, f.strategy, f.kind, f.plan, f.replicate, f.trial, control.target_loss, control.target_bits_per_byte,
       r.train_flops IS NOT NULL AS reached,
       1.0 - r.train_flops / base.train_flops AS compute_saving,
       1.0 - max(0.0, r.train_flops - coalesce(source.flops, 0)) / base.train_flops AS sunk_compute_saving,
       1.0 - r.tokens / base.tokens AS token_saving,
       1.0 - r.wall_seconds / base.wall_seconds AS wall_saving,
       f.learning_rate, f.setting, f.budget
FROM ends f
JOIN control ON control.sweep_id = f.sweep_id AND control.replicate = f.replicate AND control.at_budget = f.at_budget
JOIN base ON base.sweep_id = f.sweep_id AND base.replicate = f.replicate AND base.at_budget = f.at_budget
LEFT JOIN source ON source.sweep_id = f.sweep_id AND source.trial = f.trial
LEFT JOIN reached r ON r.sweep_id = f.sweep_id AND r.strategy = f.strategy AND r.plan = f.plan AND r.replicate = f.replicate AND r.at_budget = f.at_budget;

CREATE VIEW compute AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state,
       (SELECT max(train_flops) FROM step_metric WHERE trial = m.trial) AS charged_flops,
       -- A sum of INTEGERs beyond 2^63 would be an error.
       CASE WHEN (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) < 9223372036854774784.0
            THEN (SELECT sum(train_flops) FROM attempt WHERE trial = m.trial)
            ELSE (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) END AS spent_flops,
       m.learning_rate, m.setting, m.budget, m.tuning
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial;

CREATE VIEW steps AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.loss, e.gradient_norm, e.learning_rate, m.setting, m.budget, m.tuning
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN step_metric e ON e.trial = m.trial;

CREATE VIEW frontier AS
SELECT s.name AS sweep, e.sweep_id, e.budget, e.unit, e.train_flops, e.n_star, e.n_star_low, e.n_star_high,
       e.val_loss, e.val_loss_low, e.val_loss_high, e.law_minus_vertex,
       e.n, e.reason, e.trials,
       CASE WHEN e.trials = (SELECT count(*) FROM trial t WHERE t.state = 'complete'
        AND t.number IN (SELECT trial FROM member WHERE sweep_id = e.sweep_id)) THEN 0 ELSE 1 END AS stale
FROM frontier_estimate e
JOIN sweep s ON s.id = e.sweep_id;

CREATE VIEW gaps AS
SELECT s.name AS sweep, e.sweep_id, e.strategy, e.budget, e.unit, e.train_flops, e.gap, e.gap_low, e.gap_high, e.p_holm,
       e.multiplier, e.multiplier_low, e.multiplier_high, e.censored,
       e.n, e.reason, e.trials,
       CASE WHEN e.trials = (SELECT count(*) FROM trial t WHERE t.state = 'complete'
        AND t.number IN (SELECT trial FROM member WHERE sweep_id = e.sweep_id)) THEN 0 ELSE 1 END AS stale
FROM gap_estimate e
JOIN sweep s ON s.id = e.sweep_id;
