// A dialog over the page: Escape closes it, and the focus goes back to where it was.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useText } from "../i18n/text";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, close, children }: DialogProps): JSX.Element {
  const t = useText();
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const outside = (event: MouseEvent): void => {
    if (event.target === box.current) close();
  };
  return (
    <dialog ref={box} onClose={close} onClick={outside} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="plain" onClick={close} aria-label={t("form.close")}>×</button>
      </header>
      {children}
    </dialog>
  );
}
