-- Version 4: replicates are trained together, and the memory that an attempt took is kept beside what was predicted.

ALTER TABLE attempt ADD COLUMN together INTEGER NOT NULL DEFAULT 1; -- so many replicates were trained as one model
ALTER TABLE attempt ADD COLUMN predicted_bytes INTEGER;             -- of memory, for all of them
ALTER TABLE attempt ADD COLUMN peak_bytes INTEGER;                  -- as measured, of the worker's process
