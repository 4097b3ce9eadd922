-- The venue's list of Binance Alpha tokens as it last said it; a token that left the list keeps its row with listed = false.
CREATE TABLE alpha_tokens (
    alpha_id         text        NOT NULL,
    symbol           text        NOT NULL,
    name             text        NOT NULL,
    chain_id         text        NOT NULL,
    contract_address text        NOT NULL,
    cex_coin_name    text        NOT NULL DEFAULT '',
    listed           boolean     NOT NULL DEFAULT true,
    offline          boolean     NOT NULL DEFAULT false,
    listing_cex      boolean     NOT NULL DEFAULT false,
    listing_time     timestamptz,
    price            numeric,
    volume_24h       numeric,
    market_cap       numeric,
    liquidity        numeric,
    first_seen       timestamptz NOT NULL DEFAULT now(),
    refreshed_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alpha_tokens_pkey PRIMARY KEY (alpha_id),
    CONSTRAINT alpha_tokens_price CHECK (price >= 0 AND price < 'Infinity'),
    CONSTRAINT alpha_tokens_volume_24h CHECK (volume_24h >= 0 AND volume_24h < 'Infinity'),
    CONSTRAINT alpha_tokens_market_cap CHECK (market_cap >= 0 AND market_cap < 'Infinity'),
    CONSTRAINT alpha_tokens_liquidity CHECK (liquidity >= 0 AND liquidity < 'Infinity')
);
COMMENT ON TABLE alpha_tokens IS 'Binance Alpha tokens, refreshed every 6 h; the last good list is kept when the venue gives none.';
