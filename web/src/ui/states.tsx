// What stands in place of data: that it is loading, that there is none, or why it could not be had and what to do.
import type { ComponentChildren, JSX } from "preact";
import { ApiError } from "../api/client";
import type { Read } from "../api/use";
import { useText, type Name } from "../i18n/text";

/** `code` between backquotes is shown as code. */
export function Words({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part))}</>;
}

export function Loading(): JSX.Element {
  const t = useText();
  return <p class="state loading" role="status">{t("state.loading")}</p>;
}

interface EmptyProps {
  title: string;
  todo?: string;
  children?: ComponentChildren;
}

export function Empty({ title, todo, children }: EmptyProps): JSX.Element {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {todo && <p><Words text={todo} /></p>}
      {children}
    </div>
  );
}

/** What went wrong, in words, and what a person can do about it. */
export function explained(error: unknown): { title: Name; todo: Name | null } {
  const status = error instanceof ApiError ? error.status : -1;
  if (status === 0) return { title: "error.none", todo: "error.none.do" };
  if (status === 401 || status === 403) return { title: "error.token", todo: "error.token.do" };
  if (status === 404) return { title: "error.found", todo: null };
  if (status === 429) return { title: "error.many", todo: "error.many.do" };
  if (status === 503 || status === 504) return { title: "error.busy", todo: "error.busy.do" };
  return { title: "error.other", todo: null };
}

export function Failure({ error, again }: { error: unknown; again?: () => void }): JSX.Element {
  const t = useText();
  const { title, todo } = explained(error);
  const problem = error instanceof ApiError ? error.problem : null;
  const detail = problem?.detail ?? (problem ? "" : String(error));
  return (
    <div class="state failure" role="alert">
      <p class="state-title">{t(title, { status: problem?.status ?? "–" })}</p>
      {detail && <p>{detail}</p>}
      {problem?.errors?.map((one) => <p key={one.field}><code>{one.field}</code>: {one.message}</p>)}
      {todo && <p><Words text={t(todo)} /></p>}
      {problem?.id && <p>{t("error.id", { id: problem.id })}</p>}
      {again && <button type="button" onClick={again}>{t("state.retry")}</button>}
    </div>
  );
}

/** `show` once there are data; before that loading, or why there are none. What is there stays while newer cannot be
 * had, and is said to be old. */
export function Shown<T>({ read, show }: { read: Read<T>; show: (data: T) => ComponentChildren }): JSX.Element {
  if (read.data !== null) return <>{read.error !== null && <Failure error={read.error} again={read.again} />}{show(read.data)}</>;
  if (read.error !== null) return <Failure error={read.error} again={read.again} />;
  return <Loading />;
}
