// Preloaded into a process (`--import`): its wall clock is CLOCK_SHIFT_MS off. Timers and the monotonic clock are not.
const shiftMs = Number(process.env["CLOCK_SHIFT_MS"] ?? 0);
const realNow = Date.now.bind(Date);

class ShiftedDate extends Date {
  constructor(...given: unknown[]) {
    super(...((given.length === 0 ? [realNow() + shiftMs] : given) as [number]));
  }

  static override now(): number {
    return realNow() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
