-- The public interface: documented in docs/database.md.

CREATE VIEW steps AS
SELECT s.name AS sweep, m.sweep_id, m.strategy, m.kind, m.plan, m.replicate, t.id AS trial,
       e.step, e.tokens, e.train_flops, e.wall_seconds, e.loss, e.gradient_norm, e.learning_rate
FROM member m
JOIN sweep s ON s.id = m.sweep_id
JOIN trial t ON t.number = m.trial
JOIN step_metric e ON e.trial = m.trial;
