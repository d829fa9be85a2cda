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
