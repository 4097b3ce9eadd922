-- name: bars
-- What is drawn of one symbol: its bars of one kind and size, in order.
COPY (
    SELECT open_ts, close_ts, open, high, low, close, volume
    FROM bars
    WHERE exchange = %(exchange)s
      AND symbol = %(symbol)s
      AND kind = %(kind)s
      AND size = %(length)s
      AND open_ts >= %(since)s
      AND open_ts < %(until)s
      AND close_ts <= %(until)s
    ORDER BY open_ts, first_trade_id
) TO STDOUT (FORMAT BINARY);

-- name: made_to
-- Up to when the kept bars of a symbol are made.
SELECT made_to FROM bar_fronts WHERE exchange = %(exchange)s AND symbol = %(symbol)s;
