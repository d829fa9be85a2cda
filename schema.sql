-- The tables of the guestbook, for SQLite, PostgreSQL and MariaDB alike.
--
-- The heart of this file is a queue: the table `deliveries`, with `id`, `payload` and `status`. Look at it:
--
--   sqlite3 instance/guestbook.db 'select id, status, payload from deliveries'
--
-- Two tables stand before it, because a delivery refers to a webhook and to a comment. PostgreSQL and MariaDB want
-- a table to exist before another one refers to it.
--
-- Each of these makes the tables, and so does `flask --app guestbook init-db`. You may run it again at any time.
--
--   sqlite3 instance/guestbook.db < schema.sql
--   psql guestbook < schema.sql
--   mariadb guestbook < schema.sql
--
-- Ids are UUIDv7 in 32 hex characters. The application makes them and never uses one again.
-- Times are UTC text with milliseconds, 2026-01-31T23:59:59.123Z. A time that may be null says more than a flag.
-- Encrypted columns use a key derived from the secret key, which is not in the database.
-- Only MariaDB reads the text between /*! and */.

-- A URL that wants our events.
CREATE TABLE IF NOT EXISTS webhooks (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- what the owner calls it
    url VARCHAR(2000) NOT NULL,     -- where its deliveries go
    format VARCHAR(20) NOT NULL,    -- json, slack, template and so on
    events VARCHAR(500) NOT NULL,   -- names, separated by spaces
    headers TEXT NOT NULL,          -- a JSON object of names and encrypted values
    secret TEXT NOT NULL,           -- signs every request; encrypted
    previous_secret TEXT,           -- signs too for a while after a rotation
    previous_secret_expires_at VARCHAR(24), -- until then
    created_at VARCHAR(24) NOT NULL,
    disabled_at VARCHAR(24),        -- nothing is sent since then
    disabled_reason VARCHAR(10),    -- by_hand, failing or gone
    paused_until VARCHAR(24),       -- nothing is sent until then
    failures_in_a_row INTEGER NOT NULL, -- failed attempts since the last success
    unreachable_in_a_row INTEGER NOT NULL, -- of these, the latest without any answer
    failing_since VARCHAR(24),      -- the first failure since the last success
    rate VARCHAR(10),               -- how many attempts may begin, such as 30/m or 5/s; null: any number
    rate_log TEXT,                  -- when they began lately: milliseconds since 1970, a colon, how many; and so on
    next_slot_at VARCHAR(24),       -- when the next one may begin, if none may now
    failing_announced_at VARCHAR(24), -- when the others were sent that it fails; null when they need not be sent that it recovers
    moderation_links_since VARCHAR(24), -- when not null, its messages about held comments have links to moderate them
    github_headers_since VARCHAR(24), -- when not null, GitHub's headers come too
    signing_key TEXT,               -- a private key that signs; encrypted; null: the secret alone signs
    previous_signing_key TEXT,      -- signs too for a while after a rotation
    previous_signing_key_expires_at VARCHAR(24), -- until then
    key_only_since VARCHAR(24),     -- when not null, the secret no longer signs
    moved_at VARCHAR(24),           -- when its URL or format last changed; its receiver's page shows nothing from before
    unreadable_until VARCHAR(24),   -- the end of the last pause that began because its secrets could not be decrypted
    version VARCHAR(10) DEFAULT '2026-12-01' NOT NULL, -- the version of its payloads; older ones have another shape
    event_condition VARCHAR(500),   -- an expression: it gets only the events for which it is true; null: all
    PRIMARY KEY (id),
    CONSTRAINT webhooks_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CONSTRAINT webhooks_disabled_reason CHECK (disabled_reason IN ('by_hand', 'failing', 'gone'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Comments by visitors. Writing one is called signing the book.
CREATE TABLE IF NOT EXISTS comments (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- the visitor's name
    website VARCHAR(500),           -- the visitor's website, if any
    message TEXT NOT NULL,          -- the text
    status VARCHAR(9) NOT NULL,     -- published, held, spam or trash
    reason VARCHAR(200),            -- why it was held or marked as spam
    form_key VARCHAR(64),           -- the same form sent twice is one comment
    created_at VARCHAR(24) NOT NULL,
    announced_at VARCHAR(24),       -- when comment.created was last stored for our webhooks
    edited_at VARCHAR(24),          -- when its words were last changed; null when they never were
    reasons TEXT,                   -- every reason of the spam rules for its first status, one a line
    spam_since VARCHAR(24),         -- when it became spam; retention counts from here
    learned_as VARCHAR(4),          -- good or spam: the learned score has counted its words so
    number INTEGER,                 -- its place in the order of signing; spam has none until it leaves the spam
    place VARCHAR(60),              -- where the visitor comes from, if the book asks for it
    note TEXT,                      -- what the visitor wrote to the owner alone
    decisions TEXT,                 -- time, action and who did it, one a line, the newest last
    last_sequence INTEGER DEFAULT 0 NOT NULL, -- how many events there were about it
    mood VARCHAR(40),               -- one of the owner's list, if the visitor chose one
    page VARCHAR(350),              -- the address of the page that it is about, if it was not written in the book itself
    PRIMARY KEY (id),
    CONSTRAINT comments_form_key UNIQUE (form_key),
    CONSTRAINT comments_status CHECK (status IN ('published', 'held', 'spam', 'trash'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS comments_by_status ON comments (status, id);
-- A number is given once. The last one stands in book_state as last_number.
CREATE UNIQUE INDEX IF NOT EXISTS comments_by_number ON comments (number);
CREATE INDEX IF NOT EXISTS comments_by_page ON comments (page, status, id);

-- The outbox: one event on its way to one webhook. The first three columns are the simplest possible queue: take a
-- row that is new, send its payload, set its status. Everything below them is bookkeeping, in three groups.
CREATE TABLE IF NOT EXISTS deliveries (
    id VARCHAR(32) NOT NULL,
    payload TEXT /*!(4000000)*/ NOT NULL, -- the exact body, fixed when the row is stored
    status VARCHAR(9) NOT NULL,     -- new, then processed (the receiver has it) or failed (given up)

    -- 1. What it is about and where it goes.
    event_id VARCHAR(32) NOT NULL,  -- the webhook-id header: the same for all webhooks and all attempts
    event VARCHAR(60) NOT NULL,     -- comment.created and the like
    webhook_id VARCHAR(32) NOT NULL, -- the webhook that it goes to
    comment_id VARCHAR(32),         -- the comment that it is about, if any
    sequence INTEGER,               -- the place of the event among those about its comment: 1, 2, …
    created_at VARCHAR(24) NOT NULL,

    -- 2. When to send it next, and who is sending it now.
    due_at VARCHAR(24),             -- a claim moves it to the end of its lease; null when final
    claimed_by VARCHAR(64),         -- the pass that has the lease; null when none has
    claims INTEGER NOT NULL,        -- how often a pass took it; a killed pass counts too
    attempts INTEGER NOT NULL,      -- requests made and recorded
    schedule_start INTEGER NOT NULL, -- attempts made before the retry schedule (re)started

    -- 3. How it ended.
    finished_at VARCHAR(24),        -- when it became processed or failed
    last_status_code INTEGER,       -- what the receiver answered last
    last_error VARCHAR(300),        -- or why it did not
    erased_at VARCHAR(24),          -- when its comment was deleted and the payload emptied
    version VARCHAR(10) DEFAULT '2026-12-01' NOT NULL, -- the version of the payload

    PRIMARY KEY (id),
    CONSTRAINT deliveries_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
    CONSTRAINT deliveries_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE SET NULL,
    CONSTRAINT deliveries_status CHECK (status IN ('new', 'processed', 'failed')),
    CONSTRAINT deliveries_due CHECK ((status = 'new') = (due_at IS NOT NULL)),
    CONSTRAINT deliveries_lease CHECK (claimed_by IS NULL OR status = 'new'),
    CONSTRAINT deliveries_attempts CHECK (attempts <= claims)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- An admin page lists one webhook's deliveries, newest first. Keep this index before the next one: MariaDB checks a
-- foreign key on each write to the first index that fits it, so each claim would lock its webhook's row.
CREATE INDEX IF NOT EXISTS deliveries_by_webhook ON deliveries (webhook_id, id);
-- A claim reads the due rows of one webhook. Final rows have no due time and lie outside its range.
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (webhook_id, due_at, id);
-- A claim looks here whether an earlier event about the same comment is still on its way to the same webhook.
CREATE INDEX IF NOT EXISTS deliveries_by_comment ON deliveries (comment_id, webhook_id, sequence);
CREATE INDEX IF NOT EXISTS deliveries_by_status ON deliveries (status, id);
-- Retention reads final rows by age.
CREATE INDEX IF NOT EXISTS deliveries_by_finish ON deliveries (status, finished_at);

-- One HTTP request made for a delivery.
CREATE TABLE IF NOT EXISTS attempts (
    delivery_id VARCHAR(32) NOT NULL,
    number INTEGER NOT NULL,        -- 1, 2, …
    triggered_by VARCHAR(12) NOT NULL, -- schedule, redelivery or test
    started_at VARCHAR(24) NOT NULL,
    milliseconds INTEGER NOT NULL,  -- how long it took
    status_code INTEGER,            -- what the receiver answered; null without an answer
    error VARCHAR(300),             -- what went wrong, in a sentence
    request_headers TEXT NOT NULL,  -- as sent, without signatures and the values of the webhook's own headers
    response_headers TEXT,          -- a JSON object of names and values
    response_body TEXT,             -- the first 16 KiB
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT attempts_delivery FOREIGN KEY (delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE,
    CONSTRAINT attempts_triggered_by CHECK (triggered_by IN ('schedule', 'redelivery', 'test'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- How many attempts of a webhook came out how, and in which time. Passes add to it, and nothing takes away: deliveries and
-- attempts are deleted some day, and `/metrics` must never count down.
CREATE TABLE IF NOT EXISTS attempt_counts (
    webhook_id VARCHAR(32) NOT NULL,
    outcome VARCHAR(9) NOT NULL,    -- processed, retried or failed: what became of the delivery
    bound INTEGER NOT NULL,         -- milliseconds that each took at most, and more than the next smaller bound; 0 for longer
    number BIGINT NOT NULL,         -- attempts
    milliseconds BIGINT NOT NULL,   -- that they took together
    PRIMARY KEY (webhook_id, outcome, bound),
    CONSTRAINT attempt_counts_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The owner's answer to a comment. It stands under the comment.
CREATE TABLE IF NOT EXISTS replies (
    comment_id VARCHAR(32) NOT NULL,
    message TEXT NOT NULL,          -- the answer
    created_at VARCHAR(24) NOT NULL, -- when it was written or last changed
    PRIMARY KEY (comment_id),
    CONSTRAINT replies_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- A visitor's e-mail address for the owner's reply. It goes with the comment, with the reply, or after 30 days.
CREATE TABLE IF NOT EXISTS reply_addresses (
    id VARCHAR(32) NOT NULL,        -- the comment's id
    address TEXT NOT NULL,          -- the e-mail address; encrypted
    language VARCHAR(10) NOT NULL,  -- of the e-mails: the one that the form had
    created_at VARCHAR(24) NOT NULL, -- retention counts from here
    asked_at VARCHAR(24),           -- when the e-mail with the link to confirm was stored
    confirmed_at VARCHAR(24),       -- when the visitor confirmed it; nothing else is mailed before
    mailed_at VARCHAR(24),          -- when the e-mail with the reply was stored
    PRIMARY KEY (id),
    CONSTRAINT reply_addresses_comment FOREIGN KEY (id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS reply_addresses_by_age ON reply_addresses (created_at);

-- The time that a comment is held: since when, when to remind the owner, and what a link to moderate has done.
CREATE TABLE IF NOT EXISTS holds (
    comment_id VARCHAR(32) NOT NULL,
    held_at VARCHAR(24) NOT NULL,   -- since when it waits; links hold this time, so those of another hold do not work
    remind_at VARCHAR(24),          -- when to remind the owner; null once that was done or the owner has decided
    decided_at VARCHAR(24),         -- when it ceased to be held; its links do nothing from then on
    action VARCHAR(10),             -- what a link did: publish, spam, trash or reply; null when it happened elsewhere
    PRIMARY KEY (comment_id),
    CONSTRAINT holds_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS holds_by_reminder ON holds (remind_at);
-- Which has waited longest; and retention, which removes those decided long ago.
CREATE INDEX IF NOT EXISTS holds_by_decision ON holds (decided_at, held_at);

-- One pass: one run of the cron command. `status` reads here when cron last came and what it did.
CREATE TABLE IF NOT EXISTS passes (
    id VARCHAR(32) NOT NULL,
    started_at VARCHAR(24) NOT NULL,
    finished_at VARCHAR(24),        -- null while it runs, or if it was killed
    host VARCHAR(100) NOT NULL,     -- the machine that ran it
    processed INTEGER NOT NULL,     -- deliveries that receivers took
    retried INTEGER NOT NULL,       -- deliveries that failed and will be tried again
    failed INTEGER NOT NULL,        -- deliveries that were given up
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS passes_by_start ON passes (started_at);

-- The outcomes of each past day, so that the month's chart need not count them again.
CREATE TABLE IF NOT EXISTS days (
    day VARCHAR(10) NOT NULL,       -- 2026-01-31, in UTC
    processed INTEGER NOT NULL,     -- deliveries that receivers took
    failed INTEGER NOT NULL,        -- deliveries that were given up
    PRIMARY KEY (day)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The owner's settings from the admin pages, such as the book's title. One that is missing has its default.
CREATE TABLE IF NOT EXISTS settings (
    name VARCHAR(40) NOT NULL,      -- which setting
    value TEXT NOT NULL,            -- its value, as text
    PRIMARY KEY (name)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- State of the book, one thing a row: the hash of the password, counters, changes that can be undone.
CREATE TABLE IF NOT EXISTS book_state (
    name VARCHAR(40) NOT NULL,      -- password, second_factor, cron_token, last_number, hits, undo:<id>, form:<key> or page:<id>
    value TEXT NOT NULL,            -- its value, as text; secrets in it are encrypted
    PRIMARY KEY (name)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Browsers that are logged in. Logging out deletes the row, so a copied cookie is worth nothing.
CREATE TABLE IF NOT EXISTS sessions (
    id VARCHAR(64) NOT NULL,        -- SHA-256 of the cookie's value, which is stored nowhere
    browser VARCHAR(200) NOT NULL,  -- its user agent, so the owner can tell browsers apart
    created_at VARCHAR(24) NOT NULL,
    expires_at VARCHAR(24) NOT NULL, -- when the login ends
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Keys to the API, for programs.
CREATE TABLE IF NOT EXISTS tokens (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- what the owner calls it
    hash VARCHAR(64) NOT NULL,      -- SHA-256 of the token, which is shown once
    created_at VARCHAR(24) NOT NULL,
    scope VARCHAR(10) NOT NULL DEFAULT 'manage', -- read, moderate or manage; each includes the one before
    expires_at VARCHAR(24),         -- NULL: never
    last_used_at VARCHAR(24),       -- to the hour; NULL: not yet
    PRIMARY KEY (id),
    CONSTRAINT tokens_hash UNIQUE (hash)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- How often somebody did something lately, such as a wrong password from one network.
CREATE TABLE IF NOT EXISTS limits (
    who VARCHAR(64) NOT NULL,       -- a keyed hash: no address is stored
    hits INTEGER NOT NULL,          -- how often, within the time
    since VARCHAR(24) NOT NULL,     -- when that time began
    last_at VARCHAR(24) NOT NULL,   -- when it happened last
    PRIMARY KEY (who)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The audit log: what was done and by whom. It has names and ids, but no secret, no address and no words of a comment.
CREATE TABLE IF NOT EXISTS audit_log (
    id VARCHAR(32) NOT NULL,
    at VARCHAR(24) NOT NULL,        -- when it was done
    actor VARCHAR(10) NOT NULL,     -- admin, token, command, receiver, or nobody: a stranger, or the program itself
    actor_id VARCHAR(64),           -- the login's, the token's or the link's id
    actor_name VARCHAR(200),        -- the browser, the token's name or the command
    action VARCHAR(20) NOT NULL,    -- added, changed, revealed and so on
    object VARCHAR(20) NOT NULL,    -- webhook, token, password and so on
    object_id VARCHAR(64),          -- its id, if it has one
    object_name VARCHAR(80),        -- its name at that time
    detail VARCHAR(500),            -- the names of the changed fields, and the like
    number INTEGER NOT NULL,        -- how many: rows, or wrong passwords within a minute
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The first answers to requests with an Idempotency-Key: a repeat gets the same and does nothing. Kept for a day.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    id VARCHAR(64) NOT NULL,        -- a keyed hash of the key, and of the token or the network that sent it
    request VARCHAR(64) NOT NULL,   -- a keyed hash of the method, the address and the body
    answer TEXT /*!(4000000)*/ NOT NULL, -- encrypted with a key that is made of the request and stored nowhere
    created_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_at);

-- How often a word was in comments that the owner published or marked as spam: the learned score.
CREATE TABLE IF NOT EXISTS learned_words (
    hash VARCHAR(16) NOT NULL,      -- a keyed hash of the word, which is not stored; of nothing for the sums of all
    good INTEGER NOT NULL,          -- in so many comments that the owner published
    spam INTEGER NOT NULL,          -- in so many comments that the owner marked as spam
    changed_at VARCHAR(24) NOT NULL, -- when a decision counted it last
    PRIMARY KEY (hash)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Marks of the longer texts: two comments that share one may have almost the same text.
CREATE TABLE IF NOT EXISTS text_marks (
    comment_id VARCHAR(32) NOT NULL,
    first VARCHAR(16) NOT NULL,     -- a hash of a part of the text, chosen by its content
    second VARCHAR(16) NOT NULL,    -- a hash of another part
    PRIMARY KEY (comment_id),
    CONSTRAINT text_marks_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS text_marks_by_first ON text_marks (first, comment_id);
CREATE INDEX IF NOT EXISTS text_marks_by_second ON text_marks (second, comment_id);

-- How many comments the form refused, so that the owner sees why visitors gave up.
CREATE TABLE IF NOT EXISTS refusals (
    id VARCHAR(40) NOT NULL,        -- the day and the reason
    day VARCHAR(10) NOT NULL,       -- 2026-01-31, in UTC
    reason VARCHAR(20) NOT NULL,    -- expired, rate and so on
    number INTEGER NOT NULL,        -- how many comments
    PRIMARY KEY (id)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- A sender of webhooks to us, and what we do with them.
CREATE TABLE IF NOT EXISTS sources (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- what the owner calls it
    token VARCHAR(64) NOT NULL,     -- the last part of the URL for the sender: /hooks/<token>
    verify VARCHAR(10) NOT NULL,    -- how a sender is proven: github, token and so on
    header VARCHAR(64),             -- the header with the secret or the signature, where the owner names it
    scheme TEXT,                    -- a JSON object: how the sender signs, where the owner says it
    secret TEXT,                    -- proves the sender; encrypted; null with none
    previous_secret TEXT,           -- good too for a while after a rotation
    previous_secret_expires_at VARCHAR(24), -- until then
    action VARCHAR(10) NOT NULL,    -- log, comment, forward, or webmention, of the source that the book adds
    template TEXT,                  -- Jinja: makes a comment of an event
    forwarded_in_full_since VARCHAR(24), -- when not null, large payloads are forwarded too
    relayed_since VARCHAR(24),      -- when not null, our own webhooks get the events of its comments
    budget_mb INTEGER DEFAULT 50 NOT NULL, -- megabytes that its unproven events may take
    unproven_bytes INTEGER DEFAULT 0 NOT NULL, -- what they take: the sum of its inbound events' column
    created_at VARCHAR(24) NOT NULL,
    disabled_at VARCHAR(24),        -- events are only stored since then
    event_condition VARCHAR(500),   -- an expression: it acts only on events for which it is true; null: on all
    PRIMARY KEY (id),
    CONSTRAINT sources_token UNIQUE (token),
    CONSTRAINT sources_verify CHECK (verify IN ('github', 'standard', 'stripe', 'slack', 'hmac', 'ed25519', 'token', 'none')),
    CONSTRAINT sources_action CHECK (action IN ('log', 'comment', 'forward', 'webmention')),
    CONSTRAINT sources_secret CHECK ((verify = 'none') = (secret IS NULL))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- The inbox: one webhook that was sent to us. It is the same queue as `deliveries`, turned the other way.
CREATE TABLE IF NOT EXISTS inbound_events (
    id VARCHAR(32) NOT NULL,
    source_id VARCHAR(32) NOT NULL, -- the source that it came to
    external_id VARCHAR(200),       -- the sender's own id, stored once the sender is proven
    event VARCHAR(100),             -- the sender's name for it, such as push
    sender VARCHAR(200),            -- the person behind it, as the payload says
    headers TEXT NOT NULL,          -- a JSON object of the names and values that we keep
    payload TEXT /*!(4000000)*/ NOT NULL, -- the body, byte for byte: UTF-8 text, or base64 of other bytes
    encoding VARCHAR(6) NOT NULL,   -- text or base64
    unproven_bytes INTEGER DEFAULT 0 NOT NULL, -- what it takes of its source's budget; 0 once its sender is proven
    status VARCHAR(9) NOT NULL,     -- new, processed or failed
    attempts INTEGER NOT NULL,      -- how often a pass finished with it
    claims INTEGER NOT NULL,        -- how often a pass took it
    due_at VARCHAR(24),             -- when to process it; null when final
    claimed_by VARCHAR(64),         -- the pass that has the lease
    error VARCHAR(500),             -- why it failed
    note VARCHAR(500),              -- what we did with it
    comment_id VARCHAR(32),         -- the comment that it became, or that it is about
    received_at VARCHAR(24) NOT NULL, -- signatures are checked as of this time
    processed_at VARCHAR(24),       -- when it became processed or failed
    erased_at VARCHAR(24),          -- when its comment was deleted for good and the payload emptied
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

-- As for deliveries: the claim, the lists on the admin pages, retention.
CREATE INDEX IF NOT EXISTS inbound_events_by_due ON inbound_events (source_id, due_at, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_status ON inbound_events (status, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_source ON inbound_events (source_id, id);
CREATE INDEX IF NOT EXISTS inbound_events_by_comment ON inbound_events (comment_id);
CREATE INDEX IF NOT EXISTS inbound_events_by_end ON inbound_events (status, processed_at);
-- How much a source's unproven events take, and which one is the oldest.
CREATE INDEX IF NOT EXISTS inbound_events_by_proof ON inbound_events (source_id, status, unproven_bytes, id);

-- Requests whose time is signed too: a replay has no effect. Kept for a month, longer than any is accepted.
CREATE TABLE IF NOT EXISTS seen_signatures (
    mark VARCHAR(64) NOT NULL,      -- a keyed hash of the source and what it signed
    event_id VARCHAR(32) NOT NULL,  -- the inbound event that it came with first
    seen_at VARCHAR(24) NOT NULL,   -- when that was processed
    PRIMARY KEY (mark)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS seen_signatures_by_age ON seen_signatures (seen_at);

-- Where a comment came from, if no visitor wrote it here. Its source may be deleted; no other one gets its id.
CREATE TABLE IF NOT EXISTS origins (
    comment_id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- the source's name, as it stands under the comment
    url VARCHAR(500),               -- the comment's place in another book; each appears here once
    told_at VARCHAR(24),            -- when our own webhooks got its event; null when they get none
    source_id VARCHAR(32),          -- the source that brought it, which alone may remove it; null when nobody knows
    PRIMARY KEY (comment_id),
    CONSTRAINT origins_url UNIQUE (url),
    CONSTRAINT origins_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- A webhook's own template, for the format `template`.
CREATE TABLE IF NOT EXISTS templates (
    webhook_id VARCHAR(32) NOT NULL,
    text TEXT NOT NULL,             -- Jinja: makes of an event the JSON that the receiver wants
    PRIMARY KEY (webhook_id),
    CONSTRAINT templates_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- A link to the page of a webhook's receiver. Its address has a signature with the secret key, which is stored nowhere.
CREATE TABLE IF NOT EXISTS receiver_links (
    id VARCHAR(32) NOT NULL,
    webhook_id VARCHAR(32) NOT NULL, -- the only webhook that it shows
    name VARCHAR(80) NOT NULL,      -- whom the owner gave it to
    created_at VARCHAR(24) NOT NULL,
    expires_at VARCHAR(24) NOT NULL, -- when it stops working by itself
    revoked_at VARCHAR(24),         -- when the owner revoked it
    last_used_at VARCHAR(24),       -- to the hour; null: not yet
    PRIMARY KEY (id),
    CONSTRAINT receiver_links_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS receiver_links_by_webhook ON receiver_links (webhook_id, id);

-- A catch-all URL that shows what arrived: /bin/<token>.
CREATE TABLE IF NOT EXISTS bins (
    id VARCHAR(32) NOT NULL,
    name VARCHAR(80) NOT NULL,      -- what the owner calls it
    token VARCHAR(64) NOT NULL,     -- the last part of its URL
    answer_status INTEGER NOT NULL, -- the status code that it answers with
    answer_body TEXT NOT NULL,      -- the body that it answers with
    answer_type VARCHAR(100) NOT NULL, -- the content type of that body
    delay_milliseconds INTEGER NOT NULL, -- before it answers, at most 5,000
    failures_left INTEGER NOT NULL, -- so many requests get a 500 first
    created_at VARCHAR(24) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT bins_token UNIQUE (token)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- One request that a bin has caught.
CREATE TABLE IF NOT EXISTS bin_requests (
    id VARCHAR(32) NOT NULL,
    bin_id VARCHAR(32) NOT NULL,
    method VARCHAR(20) NOT NULL,    -- GET, POST and so on
    path TEXT NOT NULL,             -- what follows the token
    query TEXT NOT NULL,            -- as in the request line
    headers TEXT /*!(4000000)*/ NOT NULL, -- a JSON list of [name, value], in the order received
    body TEXT /*!(4000000)*/ NOT NULL, -- the first 256 kB: UTF-8 text, or base64 of other bytes
    encoding VARCHAR(6) NOT NULL,   -- text or base64
    size INTEGER NOT NULL,          -- bytes received
    answered INTEGER NOT NULL,      -- the status we answered with
    received_at VARCHAR(24) NOT NULL,
    event_id VARCHAR(32),           -- its webhook-id, if it looks like ours, so that erasure finds it
    PRIMARY KEY (id),
    CONSTRAINT bin_requests_bin FOREIGN KEY (bin_id) REFERENCES bins (id) ON DELETE CASCADE,
    CONSTRAINT bin_requests_encoding CHECK (encoding IN ('text', 'base64'))
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

CREATE INDEX IF NOT EXISTS bin_requests_by_bin ON bin_requests (bin_id, id);
CREATE INDEX IF NOT EXISTS bin_requests_by_age ON bin_requests (received_at);
CREATE INDEX IF NOT EXISTS bin_requests_by_event ON bin_requests (event_id);

-- The version of these tables, which `upgrade` reads and writes.
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num VARCHAR(32) NOT NULL, -- the number of the last file in guestbook/storage/migrations/versions
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */;

-- Only a new book gets this version: one from before versions has no column `decisions`, and one in use has rows here.
INSERT INTO alembic_version (version_num)
SELECT version_num FROM (SELECT '0036' AS version_num) AS latest
WHERE NOT EXISTS (SELECT version_num FROM alembic_version)
    AND NOT EXISTS (SELECT decisions FROM comments)
    AND NOT EXISTS (SELECT id FROM passes)
    AND NOT EXISTS (SELECT name FROM settings)
    AND NOT EXISTS (SELECT name FROM book_state)
    AND NOT EXISTS (SELECT id FROM webhooks)
    AND NOT EXISTS (SELECT id FROM sources)
    AND NOT EXISTS (SELECT id FROM tokens)
    AND NOT EXISTS (SELECT id FROM bins);
