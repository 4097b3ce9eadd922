// Tasks: the list, one task with its log, cancelling, and a new one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, post } from "../../api/client";
import type { Piece, Task, TaskState } from "../../api/types";
import { useRead } from "../../api/use";
import { minute, span } from "../../format/times";
import { useText, word } from "../../i18n/text";
import { place, refine } from "../../state/place";
import { useValue } from "../../state/value";
import { Dialog } from "../../ui/dialog";
import { Empty, Failure, Shown } from "../../ui/states";
import { Bar } from "../overview/tiles";
import { TaskLog } from "./log";
import { NewTask } from "./new_task";

const STATES: readonly TaskState[] = ["PENDING", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"];
const EVERY_MS = 3_000;
const LIMIT = 100;

export default function TasksPage(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const state = STATES.find((one) => one === query.get("state")) ?? null;
  const before = query.get("before");
  const chosen = query.get("task");
  const [making, setMaking] = useState(false);
  const read = useRead(
    `${state}/${before}`,
    (signal) => get<Piece<Task>>("/api/v1/tasks", { state, before, limit: LIMIT }, signal),
    { every: EVERY_MS },
  );
  return (
    <>
      <h1>{t("tasks.title")}</h1>
      <div class="tools">
        <label>
          {t("tasks.state")}
          <select value={state ?? ""} onChange={(event) => refine({ state: event.currentTarget.value, before: null })}>
            <option value="">{t("tasks.all")}</option>
            {STATES.map((one) => <option key={one} value={one}>{t(`tasks.state.${one}`)}</option>)}
          </select>
        </label>
        <button type="button" class="main" onClick={() => setMaking(true)}>{t("tasks.new")}</button>
      </div>
      <div class={chosen ? "task-page" : ""}>
        <section class="card">
          <Shown
            read={read}
            show={({ data, next }) =>
              data.length === 0 ? (
                state ? <Empty title={t("tasks.nothing")} /> : <Empty title={t("tasks.none")} todo={t("tasks.none.do")} />
              ) : (
                <>
                  <List of={data} chosen={chosen} />
                  {next !== null && <p class="pager"><button type="button" onClick={() => refine({ before: String(next) })}>{t("page.before")}</button></p>}
                </>
              )
            }
          />
        </section>
        {chosen && <OneTask key={chosen} id={chosen} changed={read.again} />}
      </div>
      {making && (
        <Dialog title={t("tasks.new")} close={() => setMaking(false)}>
          <NewTask
            started={(task) => {
              setMaking(false);
              refine({ task: task.task_id, state: null, before: null });
              read.again();
            }}
          />
        </Dialog>
      )}
    </>
  );
}

function List({ of, chosen }: { of: Task[]; chosen: string | null }): JSX.Element {
  const t = useText();
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{t("tasks.kind")}</th>
            <th>{t("tasks.state")}</th>
            <th>{t("tasks.progress")}</th>
            <th>{t("tasks.asked")}</th>
            <th>{t("tasks.took")}</th>
            <th>{t("tasks.id")}</th>
          </tr>
        </thead>
        <tbody>
          {of.map((one) => (
            <tr key={one.task_id} class={one.task_id === chosen ? "chosen" : ""}>
              <td>{word("kind", one.kind)}</td>
              <td><span class={`tag ${one.state}`}>{t(`tasks.state.${one.state}`)}</span></td>
              <td>{one.state === "RUNNING" && one.share !== null ? <Bar share={one.share} /> : ""}</td>
              <td>{minute(one.created_ms)}</td>
              <td>{took(one)}</td>
              <td><a class="mono" href={`/tasks?task=${encodeURIComponent(one.task_id)}`}>{one.task_id}</a></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function took(task: Task): string {
  return task.started_ms === null ? "" : span((task.finished_ms ?? Date.now()) - task.started_ms);
}

/** A line for each value, which is shown as JSON where it is more than a word. */
function Values({ of }: { of: Record<string, unknown> }): JSX.Element {
  const all = Object.entries(of);
  return (
    <>
      {all.length === 0 && "–"}
      {all.map(([name, value]) => (
        <div class="mono" key={name}><span class="soft">{name}:</span> {typeof value === "string" ? value : JSON.stringify(value)}</div>
      ))}
    </>
  );
}

function isOpen(task: Task): boolean {
  return task.state === "PENDING" || task.state === "RUNNING";
}

function OneTask({ id, changed }: { id: string; changed: () => void }): JSX.Element {
  const t = useText();
  const read = useRead(id, (signal) => get<Task>(`/api/v1/tasks/${encodeURIComponent(id)}`, {}, signal), { every: EVERY_MS });
  const [told, setTold] = useState("");
  const [error, setError] = useState<unknown>(null);
  const cancel = (): void => {
    post(`/api/v1/tasks/${encodeURIComponent(id)}/cancel`).then(() => (setTold(t("tasks.cancelled")), read.again(), changed()), setError);
  };
  return (
    <section class="card" aria-label={id}>
      <Shown
        read={read}
        show={(task) => (
          <>
            <h2>{word("kind", task.kind)} <span class={`tag ${task.state}`}>{t(`tasks.state.${task.state}`)}</span></h2>
            <dl class="facts">
              <dt>{t("tasks.id")}</dt>
              <dd class="mono">{task.task_id}</dd>
              <dt>{t("tasks.asked")}</dt>
              <dd>{minute(task.created_ms)} {task.requested_by && t("tasks.by", { who: task.requested_by })}{task.attempts > 1 && `, ${t("tasks.attempts", { attempts: task.attempts })}`}</dd>
              <dt>{t("tasks.parameters")}</dt>
              <dd><Values of={task.parameters} /></dd>
              {task.error && <><dt>{t("tasks.error")}</dt><dd class="bad">{task.error}</dd></>}
              {task.result && <><dt>{t("tasks.result")}</dt><dd><Values of={task.result} /></dd></>}
            </dl>
            {task.state === "RUNNING" && task.share !== null && <Bar share={task.share} />}
            {error !== null && <Failure error={error} />}
            {isOpen(task) && told && <p class="note" role="status">{told}</p>}
            {isOpen(task) && (
              <p class="buttons"><button type="button" class="danger" disabled={told !== ""} onClick={cancel}>{t("tasks.cancel")}</button></p>
            )}
          </>
        )}
      />
      <h2>{t("tasks.log")}</h2>
      <TaskLog id={id} />
    </section>
  );
}
