-- The tables of the guestbook, for SQLite, PostgreSQL and MariaDB alike.
--
--   sqlite3 instance/guestbook.db < schema.sql
--   psql guestbook < schema.sql
--   mariadb guestbook < schema.sql
--
-- `flask --app guestbook init-db` runs this file too, and it may be run again.
-- Ids are UUIDv7 in 32 hex characters, made by the application and never reused.
-- Times are UTC text with milliseconds, 2026-01-31T23:59:59.123Z; a time that may be null says more than a flag.
-- What stands between /*! and */ is read by MariaDB alone.

-- What visitors wrote. To write one is to sign the book.
CREATE TABLE IF NOT EXISTS comments (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,
    website VARCHAR(500),
    message TEXT NOT NULL,
    status VARCHAR(9) NOT NULL,
    reason VARCHAR(200),            -- why it was held or taken for spam
    form_key VARCHAR(64),           -- the same form sent twice is one comment
    created_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT comments_form_key UNIQUE (form_key),
    CONSTRAINT comments_status CHECK (status IN ('published', 'held', 'spam', 'trash'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS comments_by_status ON comments (status, id);

-- What the owner answered to a comment; it stands under it.
CREATE TABLE IF NOT EXISTS replies (
    comment_id VARCHAR(32) NOT NULL,
    message TEXT NOT NULL,
    created_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (comment_id),
    CONSTRAINT replies_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Somebody's URL that wants our events.
CREATE TABLE IF NOT EXISTS webhooks (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,
    url VARCHAR(2000) NOT NULL,
    format VARCHAR(20) NOT NULL,
    events VARCHAR(500) NOT NULL,   -- names with a space between
    headers TEXT NOT NULL,          -- a JSON object of names and values
    secret VARCHAR(100) NOT NULL,
    previous_secret VARCHAR(100),
    previous_secret_expires_at VARCHAR(24),
    created_at VARCHAR(24) NOT NULL,
    disabled_at VARCHAR(24),
    disabled_reason VARCHAR(10),
    paused_until VARCHAR(24),
    failures_in_a_row INTEGER NOT NULL,
    unreachable_in_a_row INTEGER NOT NULL,
    failing_since VARCHAR(24),
    PRIMARY KEY (id),
    CONSTRAINT webhooks_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CONSTRAINT webhooks_disabled_reason CHECK (disabled_reason IN ('by_hand', 'failing', 'gone'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- One event on its way to one webhook: the outbox.
CREATE TABLE IF NOT EXISTS deliveries (
    id VARCHAR(32) NOT NULL,
    event_id VARCHAR(32) NOT NULL,  -- the webhook-id header: the same for all webhooks and all attempts
    webhook_id VARCHAR(32) NOT NULL,
    comment_id VARCHAR(32),
    event VARCHAR(60) NOT NULL,
    payload TEXT NOT NULL,          -- the exact body, fixed here
    status VARCHAR(9) NOT NULL,
    attempts INTEGER NOT NULL,      -- requests made and recorded
    claims INTEGER NOT NULL,        -- times a pass took it; one that was killed took it for nothing
    schedule_start INTEGER NOT NULL, -- attempts made before the retry schedule (re)started
    due_at VARCHAR(24),             -- when to send next; a claim moves it to the end of its lease; null when final
    claimed_by VARCHAR(64),         -- whose lease it is; null when nobody's
    created_at VARCHAR(24) NOT NULL,
    finished_at VARCHAR(24),
    last_status_code INTEGER,
    last_error VARCHAR(300),
    PRIMARY KEY (id),
    CONSTRAINT deliveries_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
    CONSTRAINT deliveries_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE SET NULL,
    CONSTRAINT deliveries_status CHECK (status IN ('new', 'processed', 'failed')),
    CONSTRAINT deliveries_due CHECK ((status = 'new') = (due_at IS NOT NULL)),
    CONSTRAINT deliveries_lease CHECK (claimed_by IS NULL OR status = 'new'),
    CONSTRAINT deliveries_attempts CHECK (attempts <= claims)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The desk lists one webhook's, newest first. It stands before the next one, for MariaDB looks up a foreign key
-- whenever it writes to the first index that fits it: each claim would lock its webhook's row against others.
CREATE INDEX IF NOT EXISTS deliveries_by_webhook ON deliveries (webhook_id, id);
-- The claim asks for the due ones of one webhook. Final rows have no due time and lie outside its range.
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (webhook_id, due_at, id);
CREATE INDEX IF NOT EXISTS deliveries_by_status ON deliveries (status, id);
CREATE INDEX IF NOT EXISTS deliveries_by_comment ON deliveries (comment_id);
-- Retention asks for final rows by age.
CREATE INDEX IF NOT EXISTS deliveries_by_finish ON deliveries (status, finished_at);

-- One HTTP request made for a delivery.
CREATE TABLE IF NOT EXISTS attempts (
    delivery_id VARCHAR(32) NOT NULL,
    number INTEGER NOT NULL,
    triggered_by VARCHAR(12) NOT NULL,
    started_at VARCHAR(24) NOT NULL,
    milliseconds INTEGER NOT NULL,
    status_code INTEGER,
    error VARCHAR(300),
    request_headers TEXT NOT NULL,  -- as sent, without the signatures and the webhook's own values
    response_headers TEXT,
    response_body TEXT,             -- the first 16 KiB
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT attempts_delivery FOREIGN KEY (delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE,
    CONSTRAINT attempts_triggered_by CHECK (triggered_by IN ('schedule', 'redelivery', 'test'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- One run of the cron command, so that `status` can say when cron last came and what it did.
CREATE TABLE IF NOT EXISTS passes (
    id VARCHAR(32) NOT NULL,
    started_at VARCHAR(24) NOT NULL,
    finished_at VARCHAR(24),
    host VARCHAR(100) NOT NULL,
    processed INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS passes_by_start ON passes (started_at);

-- What became of the deliveries of a day that is over, so that a chart of the month need not count them again.
CREATE TABLE IF NOT EXISTS days (
    day VARCHAR(10) NOT NULL,       -- 2026-01-31, in UTC
    processed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (day)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- What the owner has set at the desk: the book's title and the like, and the scrypt hash of the password.
CREATE TABLE IF NOT EXISTS settings (
    name VARCHAR(40) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Browsers that are logged in. To log out is to lose the row, so that a copied cookie is worth nothing.
CREATE TABLE IF NOT EXISTS sessions (
    id VARCHAR(64) NOT NULL,        -- SHA-256 of what the cookie holds, which is stored nowhere
    browser VARCHAR(200) NOT NULL,  -- its user agent, by which the owner tells them apart
    created_at VARCHAR(24) NOT NULL,
    expires_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Keys to the API, for programs.
CREATE TABLE IF NOT EXISTS tokens (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,
    hash VARCHAR(64) NOT NULL,      -- SHA-256 of the token, which is shown once
    created_at VARCHAR(24) NOT NULL,
    scope VARCHAR(10) NOT NULL DEFAULT 'manage', -- what it may do: read, moderate or manage, each with the one before
    expires_at VARCHAR(24),         -- NULL: never
    last_used_at VARCHAR(24),       -- to the hour; NULL: not yet
    PRIMARY KEY (id),
    CONSTRAINT tokens_hash UNIQUE (hash)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- How often something was done lately, such as a wrong password from one network.
CREATE TABLE IF NOT EXISTS limits (
    who VARCHAR(64) NOT NULL,       -- a keyed hash: no address of anybody is stored
    hits INTEGER NOT NULL,
    since VARCHAR(24) NOT NULL,
    last_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (who)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Somebody who sends webhooks to us, and what we do with them.
CREATE TABLE IF NOT EXISTS sources (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,
    token VARCHAR(64) NOT NULL,     -- the last part of the URL that we give away: /hooks/<token>
    verify VARCHAR(10) NOT NULL,
    header VARCHAR(64),             -- which header brings the secret, where that is all the proof there is
    secret VARCHAR(200),
    previous_secret VARCHAR(200),
    previous_secret_expires_at VARCHAR(24),
    action VARCHAR(10) NOT NULL,
    template TEXT,                  -- Jinja, from an event to a comment
    relayed_since VARCHAR(24),      -- when not null, our own webhooks hear of the comments that it makes
    created_at VARCHAR(24) NOT NULL,
    disabled_at VARCHAR(24),
    PRIMARY KEY (id),
    CONSTRAINT sources_token UNIQUE (token),
    CONSTRAINT sources_verify CHECK (verify IN ('github', 'standard', 'stripe', 'slack', 'token', 'none')),
    CONSTRAINT sources_action CHECK (action IN ('log', 'comment', 'forward')),
    CONSTRAINT sources_secret CHECK ((verify = 'none') = (secret IS NULL))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- One webhook that was sent to us: the inbox.
CREATE TABLE IF NOT EXISTS inbound_events (
    id VARCHAR(32) NOT NULL,
    source_id VARCHAR(32) NOT NULL,
    external_id VARCHAR(200),       -- the sender's own id, once it is known that the sender wrote it
    event VARCHAR(100),
    sender VARCHAR(200),
    headers TEXT NOT NULL,          -- those that we keep, a JSON object of names and values
    payload TEXT /*!(4000000)*/ NOT NULL, -- the body, byte for byte: UTF-8 text, or base64 of what is none
    encoding VARCHAR(6) NOT NULL,   -- which of the two
    status VARCHAR(9) NOT NULL,
    attempts INTEGER NOT NULL,      -- times a pass has come to an end with it
    claims INTEGER NOT NULL,
    due_at VARCHAR(24),
    claimed_by VARCHAR(64),
    error VARCHAR(500),             -- why it failed
    note VARCHAR(500),              -- what was done with it
    comment_id VARCHAR(32),         -- the comment that it became
    received_at VARCHAR(24) NOT NULL,
    processed_at VARCHAR(24),
    PRIMARY KEY (id),
    CONSTRAINT inbound_events_once UNIQUE (source_id, external_id),
    CONSTRAINT inbound_events_source FOREIGN KEY (source_id) REFERENCES sources (id) ON DELETE CASCADE,
    CONSTRAINT inbound_events_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE SET NULL,
    CONSTRAINT inbound_events_encoding CHECK (encoding IN ('text', 'base64')),
    CONSTRAINT inbound_events_status CHECK (status IN ('new', 'processed', 'failed')),
    CONSTRAINT inbound_events_due CHECK ((status = 'new') = (due_at IS NOT NULL)),
    CONSTRAINT inbound_events_lease CHECK (claimed_by IS NULL OR status = 'new'),
    CONSTRAINT inbound_events_attempts CHECK (attempts <= claims)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- As for the deliveries: the claim, the desk's lists, and retention.
CREATE INDEX IF NOT EXISTS inbound_events_by_due ON inbound_events (source_id, due_at, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_status ON inbound_events (status, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_source ON inbound_events (source_id, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_comment ON inbound_events (comment_id);
CREATE INDEX IF NOT EXISTS inbound_events_by_end ON inbound_events (status, processed_at);

-- Where a comment came from that no visitor wrote here.
CREATE TABLE IF NOT EXISTS origins (
    comment_id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- the source's, as it stands under the comment
    url VARCHAR(500),               -- the comment's place in another book: there it is once, so here too
    told_at VARCHAR(24),            -- when our own webhooks were told of it; null when they are not to hear of it
    PRIMARY KEY (comment_id),
    CONSTRAINT origins_url UNIQUE (url),
    CONSTRAINT origins_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The template of a webhook whose format is one of its own.
CREATE TABLE IF NOT EXISTS templates (
    webhook_id VARCHAR(32) NOT NULL,
    text TEXT NOT NULL,             -- Jinja, from an event to the JSON that its receiver wants
    PRIMARY KEY (webhook_id),
    CONSTRAINT templates_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- A catch-all URL that shows what arrived: /bin/<token>.
CREATE TABLE IF NOT EXISTS bins (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,
    token VARCHAR(64) NOT NULL,
    answer_status INTEGER NOT NULL,
    answer_body TEXT NOT NULL,
    answer_type VARCHAR(100) NOT NULL,
    delay_milliseconds INTEGER NOT NULL, -- before it answers, at most 5,000
    failures_left INTEGER NOT NULL, -- so many requests are answered with 500 before that
    created_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT bins_token UNIQUE (token)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- One request that a bin has caught.
CREATE TABLE IF NOT EXISTS bin_requests (
    id VARCHAR(32) NOT NULL,
    bin_id VARCHAR(32) NOT NULL,
    method VARCHAR(20) NOT NULL,
    path TEXT NOT NULL,             -- what follows the token
    query TEXT NOT NULL,            -- as it stood in the request line
    headers TEXT /*!(4000000)*/ NOT NULL, -- a JSON list of [name, value], in the order in which they came
    body TEXT /*!(4000000)*/ NOT NULL, -- the first 256 kB; UTF-8 text, or base64 of what is none
    encoding VARCHAR(6) NOT NULL,   -- which of the two
    size INTEGER NOT NULL,          -- bytes that came
    answered INTEGER NOT NULL,      -- the status that was answered
    received_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT bin_requests_bin FOREIGN KEY (bin_id) REFERENCES bins (id) ON DELETE CASCADE,
    CONSTRAINT bin_requests_encoding CHECK (encoding IN ('text', 'base64'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS bin_requests_by_bin ON bin_requests (bin_id, id);
CREATE INDEX IF NOT EXISTS bin_requests_by_age ON bin_requests (received_at);
