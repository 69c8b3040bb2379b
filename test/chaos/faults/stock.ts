// Faults in what Redis holds: overselling, of another epoch, asked to release what is not meant, given poison.
import { setTimeout as sleep } from "node:timers/promises";
import { KnownPositions } from "../../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import { type Fault, unmet, untilMoreAccepted } from "./fault.ts";
import { keysOf } from "./recovery.ts";

const EXTRA_UNITS = 40;
const FENCED_MS = 1_500;

export const redisOversells: Fault = {
  name: "redis-oversells",
  title: "Redis gives away more than was allocated: the ledger's guard cancels, nothing is oversold",
  quick: true,
  async strike(stage) {
    const { system, sale, history } = stage;
    const product = sale.products[1];
    if (!product) throw new Error("the sale has no scarce product");
    await system.redis.hincrby(keysOf(stage).stock, `${product.id}|a`, EXTRA_UNITS);
    const from = history.accepted;
    await untilMoreAccepted(stage, 150, 6_000);
    return {
      fired: EXTRA_UNITS,
      evidence: `${EXTRA_UNITS} units from nothing, ${history.accepted - from} orders accepted since`,
      allowances: { tamperedUnits: new Map([[product.id, EXTRA_UNITS]]), guardMayRefuse: true },
    };
  },
  verify: (_stage, books) =>
    books.orders.some(({ reason }) => reason === "LEDGER_GUARD")
      ? []
      : [unmet("the ledger's guard refuses what was not allocated", "it refused nothing", 2)],
};

export const epochRaised: Fault = {
  name: "epoch-raised",
  title: "the partition lives under a newer epoch than the callers know: nothing is accepted, settled or released",
  async strike(stage) {
    const { system, history } = stage;
    const { meta } = keysOf(stage);
    const epoch = Number(await system.redis.hget(meta, "epoch"));
    await system.redis.hset(meta, "epoch", epoch + 1);
    const seq = Number(await system.redis.hget(meta, "seq"));
    const from = history.events.length;
    await sleep(FENCED_MS);
    const after = Number(await system.redis.hget(meta, "seq"));
    await system.redis.hset(meta, "epoch", epoch);
    const healedAtMs = history.now;
    const refused = history.events
      .slice(from)
      .filter((event) => event.type === "fail" && event.code === "STOCK_UNAVAILABLE").length;
    return {
      fired: after === seq ? refused : 1,
      evidence: `${refused} answered STOCK_UNAVAILABLE within ${FENCED_MS} ms`,
      healedAtMs,
      broken:
        after === seq
          ? []
          : [unmet("stale writers are refused", `the log went from ${seq} to ${after} under another epoch`, 2)],
    };
  },
};

export const staleRelease: Fault = {
  name: "stale-release",
  title: "releases and settlements that mean another reservation: nothing moves",
  async strike(stage) {
    const { system, sale, random } = stage;
    const { redis } = system;
    const stock = new PartitionStock(redis, new KnownPositions());
    const at = { saleId: sale.id, partition: 0 };
    const epoch = Number(await redis.hget(keysOf(stage).meta, "epoch"));
    let fired = 0;
    for (let n = 0; n < 40; n += 1) {
      const held = Object.entries(await redis.hgetall(keysOf(stage).held));
      const holds = held
        .filter(() => random() < 0.5)
        .slice(0, 20)
        .map(([orderId, record]) => ({ orderId, reservation: Number(record.split("|")[0]) - 1 }));
      if (holds.length > 0) {
        // The answer is not believed: the books show whether something moved.
        const outcome = await stock[random() < 0.7 ? "release" : "settle"](at, epoch, holds);
        if (outcome.type === "OK") fired += holds.length;
      }
      await sleep(50);
    }
    return { fired, evidence: `${fired} holds named by the number before theirs` };
  },
};

const POISON_SCRIPT = `
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local epoch = redis.call('HGET', KEYS[1], 'epoch')
redis.call('XADD', KEYS[2], epoch .. '-' .. seq, 'kind', 'place', 'at', '1', 'deadline', '1', 'lines', ARGV[1])
return seq`;

export const poisonEntry: Fault = {
  name: "poison-entry",
  title: "entries that cannot be read: each to the dead letters, alone; the rest is applied",
  async strike(stage) {
    const { meta, stream } = keysOf(stage);
    const seqs: number[] = [];
    for (const line of ["no order at all", "0192f000-0000-7000-8000-000000000000|x|{", '"|1|{}']) {
      seqs.push(Number(await stage.system.redis.eval(POISON_SCRIPT, 2, meta, stream, line)));
      await untilMoreAccepted(stage, 20);
    }
    return {
      fired: seqs.length,
      evidence: `poison at numbers ${seqs.join(", ")}`,
      allowances: { deadNumbers: new Set(seqs) },
    };
  },
  verify: (_stage, books) =>
    books.deadLetters.length >= 3
      ? []
      : [unmet("poison becomes dead letters", `${books.deadLetters.length} are there`)],
};
