-- What people ask to be done, how far it is, and what came of it (docs/adr/0041-jobs.md). The queue's own tables come
-- with its package.
CREATE TABLE tasks (
    task_id       text        PRIMARY KEY,
    kind          text        NOT NULL,
    parameters    jsonb       NOT NULL DEFAULT '{}',
    state         text        NOT NULL DEFAULT 'PENDING',
    share         real,
    attempts      integer     NOT NULL DEFAULT 0,
    failures      integer     NOT NULL DEFAULT 0,
    is_unwanted   boolean     NOT NULL DEFAULT false,
    error         text        NOT NULL DEFAULT '',
    result        jsonb,
    requested_by  text        NOT NULL DEFAULT '',
    scheduled_for timestamptz,
    job_id        bigint,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    CONSTRAINT tasks_id CHECK (char_length(task_id) BETWEEN 1 AND 200),
    CONSTRAINT tasks_state CHECK (state IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'CANCELLED')),
    CONSTRAINT tasks_share CHECK (share BETWEEN 0 AND 1),
    CONSTRAINT tasks_finished CHECK ((finished_at IS NOT NULL) = (state IN ('SUCCESS', 'FAILED', 'CANCELLED')))
);
CREATE INDEX tasks_newest ON tasks (created_at DESC, task_id);
CREATE INDEX tasks_open ON tasks (kind, created_at) WHERE state IN ('PENDING', 'RUNNING');
COMMENT ON COLUMN tasks.attempts IS 'How often it was begun; the one that runs has this number, and only it may end the task.';
COMMENT ON COLUMN tasks.failures IS 'Attempts that ended with an error; one that its worker''s end interrupted is none.';
COMMENT ON COLUMN tasks.is_unwanted IS 'Somebody asked for it to be cancelled.';
COMMENT ON COLUMN tasks.share IS 'How much of the work is done, 0 to 1; NULL where nobody knows.';
COMMENT ON COLUMN tasks.result IS 'Range read, parameters used, version of the code, rows written.';

CREATE TABLE task_logs (
    task_id text        NOT NULL REFERENCES tasks ON DELETE CASCADE,
    number  bigint      GENERATED ALWAYS AS IDENTITY,
    at      timestamptz NOT NULL DEFAULT now(),
    level   text        NOT NULL DEFAULT 'info',
    line    text        NOT NULL,
    CONSTRAINT task_logs_pkey PRIMARY KEY (task_id, number),
    CONSTRAINT task_logs_level CHECK (level IN ('info', 'warning', 'error'))
);
