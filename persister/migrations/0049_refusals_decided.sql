-- Redis TIME of the verdict, where it was Redis' own.
ALTER TABLE refusals ADD COLUMN decided_at timestamptz;
