-- Version 7: FLOPs beyond 2^63, a place of a sweep that is one trial's alone, and digests of snapshots.

-- FLOPs are exact INTEGERs up to 2^63 - 1 and the nearest REAL beyond. What was wrapped once is told by its sign. An attempt may stand a
-- little below zero, for it is charged from the last recorded step on.
DROP VIEW speedups;
DROP VIEW tuned;
DROP VIEW compute;
DROP VIEW steps;
DROP VIEW growth;
DROP VIEW finals;
DROP VIEW curves;

ALTER TABLE trial RENAME COLUMN train_flops TO old_flops;
ALTER TABLE trial ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0);
UPDATE trial SET train_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE trial DROP COLUMN old_flops;
ALTER TABLE attempt RENAME COLUMN train_flops TO old_flops;
ALTER TABLE attempt ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real'));
UPDATE attempt SET train_flops = old_flops;
ALTER TABLE attempt DROP COLUMN old_flops;
ALTER TABLE step_metric RENAME COLUMN train_flops TO old_flops;
ALTER TABLE step_metric ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0);
UPDATE step_metric SET train_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE step_metric DROP COLUMN old_flops;
ALTER TABLE eval_metric RENAME COLUMN train_flops TO old_flops;
ALTER TABLE eval_metric ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0);
UPDATE eval_metric SET train_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE eval_metric DROP COLUMN old_flops;
ALTER TABLE growth_event RENAME COLUMN train_flops TO old_flops;
ALTER TABLE growth_event ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0);
UPDATE growth_event SET train_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE growth_event DROP COLUMN old_flops;
ALTER TABLE growth_event RENAME COLUMN operator_flops TO old_flops;
ALTER TABLE growth_event ADD COLUMN operator_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(operator_flops) IN ('integer', 'real') AND operator_flops >= 0);
UPDATE growth_event SET operator_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE growth_event DROP COLUMN old_flops;
ALTER TABLE snapshot RENAME COLUMN train_flops TO old_flops;
ALTER TABLE snapshot ADD COLUMN train_flops ANY NOT NULL DEFAULT 0 CHECK (typeof(train_flops) IN ('integer', 'real') AND train_flops >= 0);
UPDATE snapshot SET train_flops = CASE WHEN old_flops < 0 THEN old_flops + 18446744073709551616.0 ELSE old_flops END;
ALTER TABLE snapshot DROP COLUMN old_flops;

ALTER TABLE member ADD COLUMN learning_rate REAL NOT NULL DEFAULT 0; -- the trial's peak
UPDATE member SET learning_rate = coalesce((SELECT learning_rate FROM trial WHERE number = member.trial), 0);
-- A place that two trials held: the later ones get a name of their own; twice, for that may be another's.
UPDATE member SET strategy = member.strategy || ' (' || place.nth || ')'
FROM (SELECT sweep_id, position,
             row_number() OVER (PARTITION BY sweep_id, strategy, plan, replicate, learning_rate ORDER BY position) AS nth
      FROM member) AS place
WHERE place.sweep_id = member.sweep_id AND place.position = member.position AND place.nth > 1;
UPDATE member SET strategy = member.strategy || ' (' || place.nth || ')'
FROM (SELECT sweep_id, position,
             row_number() OVER (PARTITION BY sweep_id, strategy, plan, replicate, learning_rate ORDER BY position) AS nth
      FROM member) AS place
WHERE place.sweep_id = member.sweep_id AND place.position = member.position AND place.nth > 1;
CREATE UNIQUE INDEX member_place ON member (sweep_id, strategy, plan, replicate, learning_rate);

ALTER TABLE snapshot ADD COLUMN digest TEXT; -- of the head of its checkpoint; unknown before this version

-- The public interface: documented in docs/database.md.

CREATE VIEW curves AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss, e.val_loss / 0.6931471805599453 AS bits_per_byte,
       m.learning_rate
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN eval_metric e ON e.trial = m.trial;

CREATE VIEW finals AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state, t.parameters,
       e.tokens, e.train_flops, e.wall_seconds, e.val_loss, e.val_loss / 0.6931471805599453 AS bits_per_byte,
       m.learning_rate
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
       m.learning_rate, g.preserving, g.operator_flops, g.diagnosis
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN growth_event g ON g.trial = m.trial;

-- The learning rate of each strategy of a sweep: of those with the most complete trials, the one with the lowest mean final loss.
CREATE VIEW tuned AS
WITH arms AS (
  SELECT sweep, sweep_id, strategy, kind, learning_rate, count(*) AS trials, avg(val_loss) AS mean_val_loss
  FROM finals WHERE state = 'complete' GROUP BY sweep_id, strategy, learning_rate
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY sweep_id, strategy ORDER BY trials DESC, mean_val_loss, learning_rate) AS place
  FROM arms
)
SELECT sweep, sweep_id, strategy, kind, learning_rate, trials, mean_val_loss FROM placed WHERE place = 1;

-- Compute, tokens and wall time at which a trial of a tuned strategy reached the final validation loss of the tuned from-scratch
-- control of the same sweep and replicate, on a straight line between the last evaluation above that loss and the first at or
-- below it; NULL where it never got there.
CREATE VIEW speedups AS
WITH ends AS (
  SELECT f.* FROM finals f JOIN tuned USING (sweep_id, strategy, learning_rate) WHERE f.state = 'complete'
), control AS (
  SELECT sweep_id, replicate, min(val_loss) AS target_loss FROM ends WHERE kind = 'from_scratch' GROUP BY sweep_id, replicate
), source AS (
  SELECT sweep_id, trial, min(train_flops - operator_flops) AS flops FROM growth GROUP BY sweep_id, trial
), numbered AS (
  SELECT c.*, control.target_loss,
         lag(c.val_loss) OVER own AS loss_before, lag(c.train_flops) OVER own AS flops_before,
         lag(c.tokens) OVER own AS tokens_before, lag(c.wall_seconds) OVER own AS wall_before
  FROM curves c
  JOIN control USING (sweep_id, replicate)
  JOIN tuned ON tuned.sweep_id = c.sweep_id AND tuned.strategy = c.strategy AND tuned.learning_rate = c.learning_rate
  WINDOW own AS (PARTITION BY c.sweep_id, c.strategy, c.plan, c.replicate ORDER BY c.step)
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
       1.0 - r.wall_seconds / base.wall_seconds AS wall_saving,
       f.learning_rate,
       1.0 - max(0.0, r.train_flops - coalesce(source.flops, 0)) / base.train_flops AS sunk_compute_saving
FROM ends f
JOIN control ON control.sweep_id = f.sweep_id AND control.replicate = f.replicate
JOIN base ON base.sweep_id = f.sweep_id AND base.replicate = f.replicate
LEFT JOIN source ON source.sweep_id = f.sweep_id AND source.trial = f.trial
LEFT JOIN reached r ON r.sweep_id = f.sweep_id AND r.strategy = f.strategy AND r.plan = f.plan AND r.replicate = f.replicate;

CREATE VIEW compute AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state,
       (SELECT max(train_flops) FROM step_metric WHERE trial = m.trial) AS charged_flops,
       -- A sum of INTEGERs beyond 2^63 would be an error.
       CASE WHEN (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) < 9223372036854774784.0
            THEN (SELECT sum(train_flops) FROM attempt WHERE trial = m.trial)
            ELSE (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) END AS spent_flops,
       m.learning_rate
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial;

CREATE VIEW steps AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.loss, e.gradient_norm, e.learning_rate
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN step_metric e ON e.trial = m.trial;
