-- What all processes behind one address have leased of the venue's request budgets, one row for each budget; a lease is
-- taken under the row's lock. slots, leased and strangers belong together by position, in the order in which they were
-- last asked for: the number of a slot of venue time, the weight leased in it, and what the venue counted beyond that.
-- Whoever reads it must survive any content, so there are no CHECKs. banned_until is by this server's clock.
CREATE TABLE rate_limit_state (
    egress       text        NOT NULL,
    budget       text        NOT NULL,
    slots        bigint[]    NOT NULL DEFAULT '{}',
    leased       bigint[]    NOT NULL DEFAULT '{}',
    strangers    bigint[]    NOT NULL DEFAULT '{}',
    banned_until timestamptz NOT NULL DEFAULT '-infinity',
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rate_limit_state_pkey PRIMARY KEY (egress, budget)
);
COMMENT ON TABLE rate_limit_state IS 'Request budgets by the address that requests leave from: leases of running windows, and bans.';
