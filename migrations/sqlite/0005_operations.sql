-- Version 5: batches that are written once whatever happens, pauses between attempts, and what a worker said before it died.

ALTER TABLE trial ADD COLUMN not_before REAL;                    -- a trial whose worker died waits until then
ALTER TABLE attempt ADD COLUMN batch INTEGER NOT NULL DEFAULT 0; -- the last batch of events that is written
ALTER TABLE attempt ADD COLUMN log TEXT;                         -- the last lines of a worker that died
