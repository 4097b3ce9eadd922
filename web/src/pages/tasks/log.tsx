// The log of one task: what is stored, and each line as it comes.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../api/client";
import { live } from "../../api/live";
import type { Piece, TaskLine } from "../../api/types";
import { clock } from "../../format/times";
import { useText } from "../../i18n/text";
import { Failure } from "../../ui/states";
import { joined } from "./lines";

const PIECE = 1_000;
export function TaskLog({ id }: { id: string }): JSX.Element {
  const t = useText();
  const [lines, setLines] = useState<TaskLine[]>([]);
  const [error, setError] = useState<unknown>(null);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [round, setRound] = useState(0);

  useEffect(() => {
    setLines([]);
    const ending = new AbortController();
    let newest = 0;
    const take = (some: TaskLine[]): void => setLines((old) => joined(old, some));
    const catchUp = async (): Promise<void> => {
      for (;;) {
        const { data } = await get<Piece<TaskLine>>(`/api/v1/tasks/${encodeURIComponent(id)}/logs`, { after: newest, limit: PIECE }, ending.signal);
        take(data);
        newest = Math.max(newest, data[data.length - 1]?.number ?? 0);
        if (data.length < PIECE) return setError(null);
      }
    };
    const read = (): void => void catchUp().catch((reason: unknown) => ending.signal.aborted || setError(reason));
    read();
    const end = live.watch({
      wish: { tasks: [id] },
      hear: (frame) => take((frame.tasks?.[id]?.lines ?? []).map(([number, at_ms, level, line]) => ({ number, at_ms, level, line }))),
      ready: read,
    });
    return () => (ending.abort(), end());
  }, [id, round]);

  useEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);

  const scrolled = (): void => {
    const seen = box.current;
    if (seen) follows.current = seen.scrollHeight - seen.scrollTop - seen.clientHeight < 20;
  };
  return (
    <>
      {error !== null && <Failure error={error} again={() => setRound((n) => n + 1)} />}
      <div class="log" ref={box} onScroll={scrolled} role="log" tabIndex={0} aria-label={t("tasks.log")}>
        {lines.length === 0 && error === null && <p class="soft">{t("tasks.log.none")}</p>}
        {lines.map((one) => <p key={one.number} class={one.level}><time>{clock(one.at_ms)}</time>{one.line}</p>)}
      </div>
    </>
  );
}
