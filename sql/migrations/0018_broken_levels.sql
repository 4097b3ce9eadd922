-- A broken level stays known, for the price comes back to many (docs/adr/0044-levels.md): broken is a state in which a row
-- holds, and no reason to end. What the rule before it has left is made anew by the next run.
TRUNCATE price_levels, analysis_results;

ALTER TABLE price_levels
    DROP CONSTRAINT price_levels_open,
    DROP CONSTRAINT price_levels_broken,
    ADD CONSTRAINT price_levels_open CHECK ((known_to = 'infinity') = (state IN ('formed', 'tested', 'broken'))),
    ADD CONSTRAINT price_levels_broken CHECK (
        CASE state WHEN 'broken' THEN broken_ts IS NOT NULL WHEN 'formed' THEN broken_ts IS NULL WHEN 'tested' THEN broken_ts IS NULL ELSE true END
    );

COMMENT ON COLUMN price_levels.state IS 'formed, tested, broken; or why the row ended: changed (another row of the level follows), expired, merged, withdrawn, unwatched. What it was within its time: broken where broken_ts is set, else tested where tests > 0, else formed.';
COMMENT ON COLUMN price_levels.broken_ts IS 'First close beyond the zone since the newest pivot; NULL while the level holds.';
