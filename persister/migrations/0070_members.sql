-- Members: sessions whose refresh tokens rotate, links sent by e-mail, and keys for servers. Secrets are kept as SHA-256:
-- they are random and long, so that nobody who reads a table can use or guess one.

ALTER TABLE users
  ADD COLUMN email_verified_at timestamptz,
  ADD COLUMN erased_at timestamptz;

-- A sign-in and everything that came of it by refreshing. ended_at: no token of it is good any more.
CREATE TABLE sessions (
  id         uuid PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at   timestamptz,
  end_reason text CHECK (end_reason IN ('logout', 'reuse', 'password', 'roles', 'erased'))
);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;
-- What processes ask for now and then: access tokens outlive their session by minutes unless they are told.
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_expired ON sessions (expires_at);

-- used_at: was exchanged for the next one. One that comes again was stolen, or its successor was.
CREATE TABLE refresh_tokens (
  hash       bytea PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
  issued_at  timestamptz NOT NULL DEFAULT now(),
  used_at    timestamptz
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE mailed_links (
  hash       bytea PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users,
  purpose    text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz
);
CREATE INDEX mailed_links_of_user ON mailed_links (user_id);
CREATE INDEX mailed_links_expired ON mailed_links (expires_at);

CREATE TABLE api_keys (
  id         text PRIMARY KEY CHECK (id ~ '^key_[0-9a-z]{24}$'),
  hash       bytea NOT NULL UNIQUE,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  roles      text[] NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
