-- People who sign in. Ids are 'cus_' and 24 characters.

CREATE TABLE users (
  id            text PRIMARY KEY CHECK (id ~ '^cus_[0-9a-z]{24}$'),
  email         text NOT NULL UNIQUE CHECK (email = lower(email) AND char_length(email) <= 254),
  name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  password_hash text NOT NULL,
  roles         text[] NOT NULL DEFAULT '{customer}',
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);
