// A process' worth of reading products: connections, a view of the catalogue that only learns what it is told, and the reads.
import type { Redis } from "ioredis";
import { CopiesConnection } from "../../engine/catalogue/read-model/connection.ts";
import { ProductReads } from "../../engine/catalogue/read-model/reads.ts";
import { CatalogueView } from "../../engine/catalogue/view.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";

const ignore = () => undefined; // a broken connection also fails the call on it

export interface ReadingProcess {
  readonly reads: ProductReads;
  /** What it knows of the catalogue: call `refresh` as an event or the poll would. */
  readonly catalogue: CatalogueView;
  readonly copies: CopiesConnection;
  /** `away` and `back`, in the order in which the connection told them. */
  readonly told: readonly string[];
  readonly errors: readonly unknown[];
  /** What became of the copies that it wrote. */
  readonly kept: readonly unknown[];
  stop(): Promise<void>;
}

/** Starts one; it does not poll, nor listen to events. @param readFrom where it reads products, if that is another `db` */
export async function startReading(url: string, db: Queryable, readFrom: Queryable = db): Promise<ReadingProcess> {
  const redis = commandConnection(url, 1_000);
  redis.on("error", ignore);
  await connect(redis).catch(ignore);
  const told: string[] = [];
  const errors: unknown[] = [];
  const kept: unknown[] = [];
  const copies = new CopiesConnection(url, { onAway: () => told.push("away"), onBack: () => told.push("back") });
  copies.start();
  const catalogue = new CatalogueView(db, ignore);
  await catalogue.refresh();
  const note = async (reply: Promise<unknown>) => {
    kept.push(await reply);
    return kept.at(-1);
  };
  const noting = {
    evalsha: (...call: Parameters<Redis["evalsha"]>) => note(redis.evalsha(...call)),
    eval: (...call: Parameters<Redis["eval"]>) => note(redis.eval(...call)),
  };
  const reads = new ProductReads({
    ...{ db: readFrom, catalogue, copies },
    redis: noting as unknown as Redis,
    onError: (error) => errors.push(error),
  });
  return {
    ...{ reads, catalogue, copies, told, errors, kept },
    async stop() {
      redis.disconnect();
      await copies.stop();
    },
  };
}

/** A database whose answers wait, once they were given, until they are let go. */
export function heldBack(db: Queryable): { readonly db: Queryable; readonly given: () => number; letGo(): void } {
  let given = 0;
  let letGo: () => void = ignore;
  const free = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const query = async (...call: unknown[]) => {
    const answer = await (db.query as (...args: unknown[]) => Promise<unknown>)(...call);
    given += 1;
    await free;
    return answer;
  };
  return { db: { query } as unknown as Queryable, given: () => given, letGo };
}
