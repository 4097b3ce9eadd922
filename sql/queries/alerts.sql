-- Alerts (docs/adr/0052-alerts.md).

-- name: add
-- From the minute that is running on; the side that the price is on now is that of the newest candle of the last day.
INSERT INTO alerts (exchange, symbol, price, direction, note, target, level_id, made_by, watermark, last_close)
SELECT %(exchange)s, %(symbol)s, %(price)s, %(direction)s, %(note)s, %(target)s, %(level_id)s, %(made_by)s,
       to_timestamp(%(minute_ms)s / 1000.0), newest.close
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT close
    FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s
      AND bucket_ts >= to_timestamp(%(minute_ms)s / 1000.0) - interval '1 day'
      AND bucket_ts < to_timestamp(%(minute_ms)s / 1000.0)
    ORDER BY bucket_ts DESC
    LIMIT 1
) AS newest ON true
WHERE (SELECT count(*) FROM alerts WHERE removed_at IS NULL) < %(most)s
RETURNING alert_id;

-- name: change
UPDATE alerts
SET enabled = %(enabled)s,
    -- What happened while it was off is not told later.
    watermark = CASE
        WHEN %(enabled)s AND NOT enabled THEN greatest(watermark, to_timestamp(%(minute_ms)s / 1000.0)) ELSE watermark
    END,
    last_close = CASE WHEN %(enabled)s AND NOT enabled THEN NULL ELSE last_close END
WHERE alert_id = %(alert_id)s AND removed_at IS NULL
RETURNING alert_id;

-- name: remove
-- Its events stay.
UPDATE alerts SET removed_at = now() WHERE alert_id = %(alert_id)s AND removed_at IS NULL RETURNING alert_id;

-- name: newest
SELECT alert.alert_id, alert.symbol, alert.price, alert.direction, alert.note, alert.target, alert.level_id,
       alert.enabled, (extract(epoch FROM alert.created_at) * 1000)::bigint AS created_ms, found.events,
       (extract(epoch FROM found.last_ts) * 1000)::bigint AS last_event_ms
FROM (
    SELECT *
    FROM alerts
    WHERE removed_at IS NULL
      AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
      AND (%(before)s::bigint IS NULL OR alert_id < %(before)s)
      AND (%(alert_id)s::bigint IS NULL OR alert_id = %(alert_id)s)
    ORDER BY alert_id DESC
    LIMIT %(limit)s
) AS alert
CROSS JOIN LATERAL (
    SELECT count(*) AS events, max(bucket_ts) AS last_ts FROM alert_events WHERE alert_events.alert_id = alert.alert_id
) AS found
ORDER BY alert.alert_id DESC;

-- name: events
SELECT event.event_id, event.alert_id, alert.symbol, event.price, event.direction,
       (extract(epoch FROM event.bucket_ts) * 1000)::bigint AS bucket_ms, event.close, event.delivery, event.target,
       event.attempts, event.error
FROM alert_events AS event
JOIN alerts AS alert USING (alert_id)
WHERE (%(alert_id)s::bigint IS NULL OR event.alert_id = %(alert_id)s)
  AND (%(before)s::bigint IS NULL OR event.event_id < %(before)s)
ORDER BY event.event_id DESC
LIMIT %(limit)s;

-- name: last_event
SELECT coalesce(max(event_id), 0) FROM alert_events;

-- name: news
-- Events behind one, in order: what listeners are told.
SELECT event.event_id, event.alert_id, alert.symbol, event.price, event.direction,
       (extract(epoch FROM event.bucket_ts) * 1000)::bigint AS bucket_ms, event.close, event.delivery
FROM alert_events AS event
JOIN alerts AS alert USING (alert_id)
WHERE event.event_id > %(after)s
ORDER BY event.event_id
LIMIT %(limit)s;

-- name: oldest
-- The oldest watermark of alerts that are to be looked at.
SELECT min(watermark) FROM alerts WHERE enabled AND removed_at IS NULL AND watermark < %(until)s;

-- name: evaluate
-- Look at the candles behind each alert's watermark, up to a day of them, write what crossed, and move the watermark: one
-- statement, so one transaction. Alerts that another process looks at are left to it. Where a day has no candle, and it is
-- over since an hour, the watermark goes over it. [day_before, until) holds all that is looked at: a plan made for these bounds
-- leaves out all other chunks.
WITH due AS MATERIALIZED (
    SELECT alert_id, exchange, symbol, price, direction, target, watermark, last_close
    FROM alerts
    WHERE enabled AND removed_at IS NULL AND watermark >= %(oldest)s AND watermark < %(until)s
    FOR UPDATE SKIP LOCKED
),
candles AS MATERIALIZED (
    SELECT due.alert_id, candle.bucket_ts, candle.close,
           coalesce(
               lag(candle.close) OVER (PARTITION BY due.alert_id ORDER BY candle.bucket_ts), earlier.close, due.last_close
           ) AS before
    FROM due
    -- Read now: when the alert was made, the minute that had just closed was not stored yet.
    LEFT JOIN LATERAL (
        SELECT close
        FROM candles_1m
        WHERE exchange = due.exchange AND symbol = due.symbol
          AND bucket_ts >= due.watermark - interval '1 day' AND bucket_ts < due.watermark
          AND bucket_ts >= %(day_before)s AND bucket_ts < %(until)s
        ORDER BY bucket_ts DESC
        LIMIT 1
    ) AS earlier ON true
    CROSS JOIN LATERAL (
        SELECT bucket_ts, close
        FROM candles_1m
        WHERE exchange = due.exchange AND symbol = due.symbol
          AND bucket_ts >= due.watermark AND bucket_ts < due.watermark + interval '1 day'
          AND bucket_ts >= %(oldest)s AND bucket_ts < %(until)s
    ) AS candle
),
told AS (
    INSERT INTO alert_events (alert_id, bucket_ts, price, direction, close, target, delivery)
    SELECT due.alert_id, candles.bucket_ts, due.price, due.direction, candles.close, due.target,
           CASE WHEN due.target IS NULL THEN 'none' ELSE 'waiting' END
    FROM candles
    JOIN due USING (alert_id)
    WHERE CASE due.direction
        WHEN 'long' THEN candles.before > due.price AND candles.close <= due.price
        ELSE candles.before < due.price AND candles.close >= due.price
    END
    ORDER BY candles.bucket_ts, due.alert_id
    ON CONFLICT ON CONSTRAINT alert_events_once DO NOTHING
    RETURNING event_id
),
moved AS (
    UPDATE alerts
    SET watermark = CASE
            WHEN newest.bucket_ts IS NOT NULL THEN newest.bucket_ts + interval '1 minute'
            WHEN due.watermark + interval '25 hours' < %(until)s
                THEN due.watermark + interval '1 day'
            ELSE due.watermark
        END,
        last_close = coalesce(newest.close, alerts.last_close)
    FROM due
    LEFT JOIN LATERAL (
        SELECT bucket_ts, close FROM candles WHERE candles.alert_id = due.alert_id ORDER BY bucket_ts DESC LIMIT 1
    ) AS newest ON true
    WHERE alerts.alert_id = due.alert_id
      AND (newest.bucket_ts IS NOT NULL OR due.watermark + interval '25 hours' < %(until)s)
    RETURNING alerts.watermark
)
SELECT (SELECT count(*) FROM told), (SELECT count(*) FROM moved),
       (SELECT count(*) FROM moved WHERE watermark < %(until)s - interval '1 hour');

-- name: take
-- Events whose turn it is, with the next attempt moved ahead: whoever dies on the way loses nothing, and is not awaited.
UPDATE alert_events AS event
SET attempts = event.attempts + 1, due_at = now() + %(lease_s)s * interval '1 second'
FROM alerts AS alert
WHERE alert.alert_id = event.alert_id
  AND event.event_id IN (
      SELECT event_id
      FROM alert_events
      WHERE delivery = 'waiting' AND due_at <= now()
      ORDER BY due_at
      LIMIT %(limit)s
      FOR UPDATE SKIP LOCKED
  )
RETURNING event.event_id, event.alert_id, alert.symbol, event.price, event.direction,
          (extract(epoch FROM event.bucket_ts) * 1000)::bigint, event.close, alert.note, event.target, event.attempts;

-- name: settle
-- How an attempt ended; only the newest attempt may say so.
UPDATE alert_events
SET delivery = %(delivery)s, error = %(error)s, due_at = now() + %(again_s)s * interval '1 second',
    delivered_at = CASE WHEN %(delivery)s = 'delivered' THEN now() END
WHERE event_id = %(event_id)s AND attempts = %(attempt)s AND delivery = 'waiting';
