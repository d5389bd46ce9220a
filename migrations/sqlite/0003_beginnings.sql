-- Version 3: what trials of a sweep have in common at their beginning is trained once; a batch too large for the memory is cut.

ALTER TABLE trial ADD COLUMN parts INTEGER NOT NULL DEFAULT 1; -- its batch is trained in so many parts, for memory
ALTER TABLE attempt ADD COLUMN note TEXT;                      -- why it stopped, where that is not obvious

CREATE TABLE beginning ( -- a trial begins as an earlier one of the sweep does
  sweep_id TEXT NOT NULL REFERENCES sweep (id),
  trial    INTEGER NOT NULL REFERENCES trial (number),
  parent   INTEGER NOT NULL REFERENCES trial (number),
  step     INTEGER NOT NULL,            -- steps in common
  PRIMARY KEY (sweep_id, trial)
) STRICT, WITHOUT ROWID;
CREATE INDEX beginning_parent ON beginning (parent);

CREATE TABLE snapshot ( -- a state that other trials begin from; it goes when none of them is left to train
  trial       INTEGER NOT NULL REFERENCES trial (number), -- whose training it is from
  step        INTEGER NOT NULL,
  train_flops INTEGER NOT NULL,         -- spent up to there
  path        TEXT NOT NULL,
  PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

-- The public interface: documented in docs/database.md.

CREATE VIEW compute AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial, t.state,
       (SELECT max(train_flops) FROM step_metric WHERE trial = m.trial) AS charged_flops,
       (SELECT sum(train_flops) FROM attempt WHERE trial = m.trial) AS spent_flops
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial;
