-- Which processes run, told by themselves every two seconds (engine/instances). Unlogged: nothing of it is worth a flush to
-- disk or a byte of the log of transactions, and after a crash of the server each process is in it again with its next beat.
-- ended_at, ended: it has said good-bye, or was seen to be gone. holder: the process' name (engine/process-identity.ts).
CREATE UNLOGGED TABLE instances (
  id            uuid PRIMARY KEY,
  role          text NOT NULL CHECK (role IN ('api', 'persister', 'worker')),
  holder        text NOT NULL,
  host          text NOT NULL,
  pid           integer NOT NULL,
  version       text NOT NULL,
  build         text NOT NULL,
  node          text NOT NULL,
  ack_mode      text,
  started_at    timestamptz NOT NULL,
  beat_at       timestamptz NOT NULL DEFAULT now(),
  health        jsonb NOT NULL,
  load          jsonb NOT NULL,
  partitions    text[] NOT NULL DEFAULT '{}',
  configuration bigint,
  ended_at      timestamptz,
  ended         text CHECK (ended IN ('stopped', 'gone'))
) WITH (fillfactor = 50);
