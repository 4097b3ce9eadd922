// A field for a symbol, which offers those that are known while one types.
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { get } from "../api/client";
import type { Piece, SymbolRow } from "../api/types";
import { useRead } from "../api/use";

const OFFERED = 20;

interface SymbolInputProps {
  value: string;
  set: (symbol: string) => void;
  autofocus?: boolean;
}

export function SymbolInput({ value, set, autofocus = false }: SymbolInputProps): JSX.Element {
  const id = useId();
  const [asked, setAsked] = useState(false);
  const read = useRead(asked ? value : null, (signal) => get<Piece<SymbolRow>>("/api/v1/symbols", { search: value, limit: OFFERED }, signal));
  const take = (event: { currentTarget: HTMLInputElement }): void => set(event.currentTarget.value.trim().toUpperCase());
  // Who was listed twice stands there once.
  const names = [...new Set(read.data?.data.map((one) => one.symbol))];
  return (
    <>
      <input
        class="symbol"
        required
        placeholder="BTCUSDT"
        autocomplete="off"
        spellcheck={false}
        list={id}
        autofocus={autofocus}
        value={value}
        onFocus={() => setAsked(true)}
        // While Chinese is composed the field is left as it is: other letters put into it would end the composition.
        onInput={(event) => (event.isComposing ? set(event.currentTarget.value) : take(event))}
        onCompositionEnd={take}
      />
      <datalist id={id}>{names.map((name) => <option key={name} value={name} />)}</datalist>
    </>
  );
}
