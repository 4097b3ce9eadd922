-- When symbols were listed again: the minute of each listing but the first. What happened before belongs to another
-- contract: nothing is computed over a cut, and ids of trades begin anew there.
CREATE OR REPLACE VIEW listing_cuts AS
SELECT exchange, symbol, date_trunc('minute', onboard_ts) AS cut_ts
FROM (
    SELECT exchange, symbol, onboard_ts,
           row_number() OVER (PARTITION BY exchange, symbol ORDER BY onboard_ts) AS number
    FROM instruments
) AS listing
WHERE number > 1;
