// Asks for a token where the API demands one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { giveToken, wanted } from "../api/client";
import { useText } from "../i18n/text";
import { useValue } from "../state/value";
import { Dialog } from "./dialog";
import { Failure } from "./states";

export function TokenDialog(): JSX.Element | null {
  const t = useText();
  const why = useValue(wanted);
  const [text, setText] = useState("");
  const [error, setError] = useState<unknown>(null);
  if (why === null) return null;
  const use = (event: Event): void => {
    event.preventDefault();
    giveToken(text.trim()).then((taken) => taken || wanted.set("wrong"), setError);
    setText("");
  };
  return (
    <Dialog title={t("token.title")} close={() => wanted.set(null)}>
      <form onSubmit={use} class="form">
        <p>{t(`token.${why}`)}</p>
        <label>
          {t("token.field")}
          <input type="password" autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} required />
        </label>
        <p class="hint">{t("token.kept")}</p>
        {error !== null && <Failure error={error} />}
        <p class="buttons">
          <button type="submit" class="main">{t("token.use")}</button>
          <button type="button" onClick={() => wanted.set(null)}>{t("token.not")}</button>
        </p>
      </form>
    </Dialog>
  );
}
