// A new price alert, from a level of the chart or by hand.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, post } from "../api/client";
import type { Alert, Direction, NewAlert } from "../api/types";
import { useRead } from "../api/use";
import { useText } from "../i18n/text";
import { Failure } from "./states";
import { SymbolInput } from "./symbol_input";

interface AlertFormProps {
  first: Partial<NewAlert>;
  made: (alert: Alert) => void;
}

export function AlertForm({ first, made }: AlertFormProps): JSX.Element {
  const t = useText();
  const [wish, setWish] = useState<Partial<NewAlert>>({ direction: "long", ...first });
  // As it is typed: the number of 0.0 is 0, which, put back into the field, would end every price that begins so.
  const [typed, setTyped] = useState(first.price === undefined ? "" : String(first.price));
  const [error, setError] = useState<unknown>(null);
  const [sending, setSending] = useState(false);
  const targets = useRead("targets", (signal) => get<{ targets: string[] }>("/api/v1/alerts/targets", {}, signal));
  const set = (change: Partial<NewAlert>): void => setWish((old) => ({ ...old, ...change }));
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setSending(true);
    setError(null);
    // What was left empty is left out: an empty name is not a name.
    const said = Object.fromEntries(Object.entries({ ...wish, price: Number(typed) }).filter(([, value]) => value !== ""));
    await post<Alert>("/api/v1/alerts", said).then(made, setError);
    setSending(false);
  };
  return (
    <form class="form" onSubmit={(event) => void send(event)}>
      <div class="row">
        <label>
          {t("alert.symbol")}
          <SymbolInput value={wish.symbol ?? ""} set={(symbol) => set({ symbol })} />
        </label>
        <label>
          {t("alert.price")}
          <input
            required
            type="number"
            step="any"
            min="0"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      </div>
      <label>
        {t("alert.direction")}
        <select value={wish.direction} onChange={(event) => set({ direction: event.currentTarget.value as Direction })}>
          <option value="long">{t("alert.long")}</option>
          <option value="short">{t("alert.short")}</option>
        </select>
        <span class="hint">{t("alert.direction.about")}</span>
      </label>
      <label>
        {t("alert.target")}
        <select value={wish.target ?? ""} onChange={(event) => set({ target: event.currentTarget.value })}>
          <option value="">{t("alert.target.none")}</option>
          {targets.data?.targets.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
        <span class="hint">{t("alert.target.about")}</span>
      </label>
      <label>
        <span>{t("alert.note")} <span class="need hint">{t("form.optional")}</span></span>
        <input maxLength={200} value={wish.note ?? ""} onInput={(event) => set({ note: event.currentTarget.value })} />
      </label>
      {error !== null && <Failure error={error} />}
      <p class="buttons"><button class="main" type="submit" disabled={sending}>{t("alert.make")}</button></p>
    </form>
  );
}
