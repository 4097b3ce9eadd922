-- The list of Alpha tokens.

-- name: refresh
-- The whole list in one statement: new and changed tokens, those that left it, and the flag of the contracts whose
-- base asset is among them.
WITH said AS (
    SELECT * FROM unnest(
        %(alpha_id)s::text[], %(symbol)s::text[], %(name)s::text[], %(chain_id)s::text[], %(contract_address)s::text[],
        %(cex_coin_name)s::text[], %(offline)s::boolean[], %(listing_cex)s::boolean[], %(listing_time)s::timestamptz[],
        %(price)s::numeric[], %(volume_24h)s::numeric[], %(market_cap)s::numeric[], %(liquidity)s::numeric[]
    ) AS token (
        alpha_id, symbol, name, chain_id, contract_address, cex_coin_name, offline, listing_cex, listing_time,
        price, volume_24h, market_cap, liquidity
    )
),
kept AS (
    INSERT INTO alpha_tokens (
        alpha_id, symbol, name, chain_id, contract_address, cex_coin_name, offline, listing_cex, listing_time,
        price, volume_24h, market_cap, liquidity
    )
    SELECT * FROM said ORDER BY alpha_id COLLATE "C"
    ON CONFLICT (alpha_id) DO UPDATE SET
        symbol = excluded.symbol,
        name = excluded.name,
        chain_id = excluded.chain_id,
        contract_address = excluded.contract_address,
        cex_coin_name = excluded.cex_coin_name,
        listed = true,
        offline = excluded.offline,
        listing_cex = excluded.listing_cex,
        listing_time = excluded.listing_time,
        price = excluded.price,
        volume_24h = excluded.volume_24h,
        market_cap = excluded.market_cap,
        liquidity = excluded.liquidity,
        refreshed_at = now()
    RETURNING (xmax = 0) AS inserted
),
gone AS (
    UPDATE alpha_tokens SET listed = false
    WHERE listed AND NOT EXISTS (SELECT FROM said WHERE said.alpha_id = alpha_tokens.alpha_id)
    RETURNING alpha_id
)
SELECT count(*) FILTER (WHERE inserted) AS added, (SELECT count(*) FROM gone) AS gone FROM kept;

-- name: flag_instruments
-- A token's futures contract is found by its base asset: the token's symbol, or its coin on the exchange.
UPDATE instruments SET alpha = NOT alpha
WHERE exchange = %(exchange)s
  AND alpha <> EXISTS (
      SELECT FROM alpha_tokens
      WHERE listed AND instruments.base <> '' AND instruments.base IN (alpha_tokens.symbol, alpha_tokens.cex_coin_name)
  );

-- name: tokens
SELECT token.alpha_id, token.symbol, token.name, token.chain_id, token.contract_address, token.cex_coin_name,
       token.offline, token.listing_cex, token.listing_time, token.price, token.volume_24h, token.market_cap,
       token.liquidity, token.refreshed_at,
       ARRAY(
           SELECT DISTINCT contract.symbol FROM instruments AS contract
           WHERE contract.exchange = %(exchange)s AND contract.base <> ''
             AND contract.base IN (token.symbol, token.cex_coin_name)
           ORDER BY contract.symbol
       ) AS contracts
FROM alpha_tokens AS token
WHERE token.listed
ORDER BY token.symbol COLLATE "C", token.alpha_id COLLATE "C";
