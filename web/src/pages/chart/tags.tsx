// A mark at the left end of each level's line: what a click on the line does is to be seen, and not only found.
import type { JSX } from "preact";
import { price } from "../../format/numbers";
import { useText } from "../../i18n/text";
import type { Placed } from "./drawing";
import type { Line } from "./levels";

/** For the pointer; who uses the keyboard has the same levels in the list beside the chart. */
export function LevelTags({ of, pick }: { of: Placed[]; pick: (line: Line) => void }): JSX.Element {
  const t = useText();
  return (
    <div class="chart-tags">
      {of.map(({ line, y }) => (
        <button
          type="button"
          key={line.id}
          class={line.side}
          style={{ top: `${y}px` }}
          tabIndex={-1}
          data-price={line.price}
          title={`${t("alert.new")}: ${t(`chart.${line.side}`)} ${price(line.price)}`}
          aria-label={`${t("alert.new")}: ${t(`chart.${line.side}`)} ${price(line.price)}`}
          onClick={() => pick(line)}
        >
          +
        </button>
      ))}
    </div>
  );
}
