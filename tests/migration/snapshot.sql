-- One line for each thing that migrations make, in an order that does not depend on object ids.
SELECT format('column %s.%s %s%s%s', relname, attname, format_type(atttypid, atttypmod),
              CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
              coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), CASE attidentity WHEN 'a' THEN ' IDENTITY ALWAYS' ELSE '' END))
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'market_data'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT format('constraint %s.%s %s', relname, conname, pg_get_constraintdef(pg_constraint.oid))
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE connamespace = 'market_data'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index ' || replace(indexdef, 'market_data.', '') FROM pg_indexes WHERE schemaname = 'market_data'
UNION ALL
SELECT format('table %s %s', relname, coalesce(reloptions::text, '')) FROM pg_class
WHERE relnamespace = 'market_data'::regnamespace AND relkind = 'r'
UNION ALL
SELECT 'trigger ' || replace(pg_get_triggerdef(pg_trigger.oid), 'market_data.', '')
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'market_data'::regnamespace AND NOT tgisinternal AND tgname NOT LIKE 'ts\_%'
UNION ALL
SELECT format('function %s definer %s %s md5 %s', proname, prosecdef, proconfig::text, md5(prosrc))
FROM pg_proc WHERE pronamespace = 'market_data'::regnamespace
UNION ALL
SELECT format('hypertable %s by %s every %s', hypertable_name, column_name, time_interval)
FROM timescaledb_information.dimensions WHERE hypertable_schema = 'market_data'
