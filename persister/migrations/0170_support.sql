-- Support: threads between a member and the shop's agents, and what was written in them.

-- version: counts everything that changes a thread: messages, read marks, being closed or opened again. Whoever changes it
-- holds its row, so that versions have no gap and no order but this one.
-- customer_read, agent_read: the version up to which each side has read.
CREATE TABLE support_threads (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  customer_id   text NOT NULL CHECK (char_length(customer_id) BETWEEN 1 AND 64),
  subject       text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 200),
  state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
  version       bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
  messages      integer NOT NULL DEFAULT 1 CHECK (messages >= 1),
  customer_read bigint NOT NULL DEFAULT 0 CHECK (customer_read BETWEEN 0 AND version),
  agent_read    bigint NOT NULL DEFAULT 0 CHECK (agent_read BETWEEN 0 AND version),
  created_at    timestamptz NOT NULL DEFAULT now(),
  -- When a message came, or the state changed; reading changes nothing of it. In whole milliseconds, as cursors have it.
  updated_at    timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
) WITH (fillfactor = 80);
CREATE INDEX support_threads_of_customer ON support_threads (customer_id, updated_at, id);
CREATE INDEX support_threads_by_state ON support_threads (state, updated_at, id);
CREATE INDEX support_threads_by_time ON support_threads (updated_at, id);

-- version: the thread's with this message. client_id: the author's own name for it, so that sending it again adds nothing.
CREATE TABLE support_messages (
  thread_id uuid NOT NULL REFERENCES support_threads ON DELETE CASCADE,
  version   bigint NOT NULL,
  id        uuid NOT NULL DEFAULT gen_random_uuid(),
  side      text NOT NULL CHECK (side IN ('customer', 'agent')),
  author_id text NOT NULL,
  client_id text CHECK (char_length(client_id) BETWEEN 1 AND 64),
  text      text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 2000),
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (thread_id, version)
);
CREATE UNIQUE INDEX support_messages_by_client ON support_messages (thread_id, author_id, client_id)
  WHERE client_id IS NOT NULL;
