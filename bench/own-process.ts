// The frame of the benchmark's child processes: told what to do over the IPC channel, and gone with the benchmark.

/** Calls `start` with each message of the benchmark. */
export function onOrder<Order>(start: (order: Order) => void | Promise<void>): void {
  process.once("disconnect", () => process.exit(0));
  process.on("message", (order: Order) => {
    void start(order);
  });
}

/** Tells the benchmark that it serves, or what came out. */
export function report(message: object): void {
  process.send?.(message);
}
