// The instances as an API process shows them: from Postgres, or, while that does not answer, as they were when it last did,
// with what the process knows of itself as it is now.
import type { Queryable } from "../ledger/database.ts";
import { inTime } from "./health.ts";
import { type Instance, listInstances } from "./instances.ts";
import type { OwnInstance } from "./registration.ts";

export interface ShownInstances {
  readonly items: readonly Instance[];
  /** False: Postgres did not answer, and this is what it said last. Then nothing is known of anybody's beats since. */
  readonly current: boolean;
}

export class InstanceView {
  readonly #db: Queryable;
  #last: readonly Instance[] = [];
  #own: OwnInstance | undefined;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** To be told of each beat of this process: what is shown while Postgres is away is then no older than that. */
  noteBeat(own: OwnInstance): void {
    this.#own = own;
    void this.#read();
  }

  async read(): Promise<ShownInstances> {
    if (await this.#read()) return { items: this.#last, current: true };
    const own = this.#own;
    const items = this.#last.map((one) => (one.id === own?.id ? { ...one, ...own, state: "up" as const } : one));
    return { items, current: false };
  }

  #read(): Promise<boolean> {
    return inTime(async () => {
      this.#last = await listInstances(this.#db);
    });
  }
}
