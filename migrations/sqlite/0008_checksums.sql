-- Version 8: rows of measurements carry a digest, so that `outgrow db check` knows what was written from what was changed.

ALTER TABLE step_metric ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0; -- 0: written before this version
ALTER TABLE eval_metric ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE growth_event ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
