// What this process knows of each partition: its epoch by Postgres, and the highest seq seen in any answer. Every script is
// told both, so that a Redis that was restored from the past is noticed before it decides anything.
import { type Partition, partitionName } from "../keys.ts";
import { comparePositions, type Position } from "../movement.ts";

export class KnownPositions {
  readonly #positions = new Map<string, Position>();

  /** Takes note of a position; an older one changes nothing. */
  learn(partition: Partition, position: Position): void {
    const name = partitionName(partition);
    const known = this.#positions.get(name);
    if (!known || comparePositions(position, known) > 0) this.#positions.set(name, position);
  }

  get(partition: Partition): Position | undefined {
    return this.#positions.get(partitionName(partition));
  }
}
