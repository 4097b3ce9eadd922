// A new task: the kind, and a form that explains each field as the kind's schema does.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { ApiError, get, post } from "../../api/client";
import type { Task, TaskKind } from "../../api/types";
import { useRead } from "../../api/use";
import { useText, word } from "../../i18n/text";
import { Failure, Shown } from "../../ui/states";
import { fields, values, type Field, type Typed } from "./schema";

export function NewTask({ started }: { started: (task: Task) => void }): JSX.Element {
  const read = useRead("kinds", (signal) => get<TaskKind[]>("/api/v1/tasks/kinds", {}, signal));
  return <Shown read={read} show={(kinds) => <Form kinds={kinds} started={started} />} />;
}

function Form({ kinds, started }: { kinds: TaskKind[]; started: (task: Task) => void }): JSX.Element {
  const t = useText();
  const [name, setName] = useState(kinds[0]?.name ?? "");
  const [typed, setTyped] = useState<Typed>({});
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [sending, setSending] = useState(false);
  const kind = kinds.find((one) => one.name === name);
  const all = useMemo(() => fields(kind?.schema ?? {}), [kind]);
  const { parameters, wrong } = values(all, typed);
  const told = error instanceof ApiError ? new Map(error.problem.errors?.map((one) => [one.field.replace(/^body\.parameters\./, ""), one.message])) : new Map<string, string>();
  const start = (event: Event): void => {
    event.preventDefault();
    setTried(true);
    setError(null);
    if (sending || Object.keys(wrong).length > 0) return;
    setSending(true); // a second click would start a second task
    void post<Task>("/api/v1/tasks", { kind: name, parameters }).then(started, setError).finally(() => setSending(false));
  };
  return (
    <form class="form" onSubmit={start} noValidate>
      <label>
        {t("tasks.kind")}
        <select value={name} onChange={(event) => (setName(event.currentTarget.value), setTyped({}), setTried(false), setError(null))}>
          {kinds.map((one) => <option key={one.name} value={one.name}>{word("kind", one.name)}</option>)}
        </select>
        <span class="hint">{kind && word("about", kind.name, kind.about)}</span>
      </label>
      {all.map((field) => {
        const problem = wrong[field.name];
        return (
          <FieldInput
            key={`${name}/${field.name}`}
            field={field}
            text={typed[field.name] ?? field.first}
            wrong={tried && problem ? t(problem) : (told.get(field.name) ?? "")}
            type={(text) => setTyped((old) => ({ ...old, [field.name]: text }))}
          />
        );
      })}
      {error !== null && <Failure error={error} />}
      <p class="buttons"><button type="submit" class="main" disabled={sending}>{t("tasks.start")}</button></p>
    </form>
  );
}

interface FieldInputProps {
  field: Field;
  text: string;
  wrong: string;
  type: (text: string) => void;
}

function FieldInput({ field, text, wrong, type }: FieldInputProps): JSX.Element {
  const t = useText();
  const how = field.kind === "list" ? t("tasks.list.about") : field.kind === "json" ? t("tasks.json.about") : "";
  const about = [field.about, how].filter(Boolean).join("; ");
  return (
    <label>
      <span>
        <span class="mono">{field.name}</span> {field.required && <span class="need hint">{t("form.required")}</span>}
      </span>
      <Input field={field} text={text} type={type} />
      {about && <span class="hint">{about}</span>}
      {wrong && <span class="wrong" role="alert">{wrong}</span>}
    </label>
  );
}

function Input({ field, text, type }: Omit<FieldInputProps, "wrong">): JSX.Element {
  if (field.kind === "check") {
    return <input name={field.name} type="checkbox" checked={text === "true"} onChange={(event) => type(String(event.currentTarget.checked))} />;
  }
  if (field.kind === "choice") {
    return (
      <select name={field.name} value={text} onChange={(event) => type(event.currentTarget.value)}>
        {!field.required && <option value="" />}
        {field.choices.map((one) => <option key={one} value={one}>{one}</option>)}
      </select>
    );
  }
  if (field.kind === "json") return <textarea name={field.name} rows={3} class="mono" value={text} onInput={(event) => type(event.currentTarget.value)} />;
  const mode = field.kind === "integer" ? "numeric" : field.kind === "number" ? "decimal" : "text";
  return <input name={field.name} inputMode={mode} value={text} onInput={(event) => type(event.currentTarget.value)} />;
}
