// Preloaded into an instance that the benchmark starts: when the benchmark is gone, however it ended, so is the instance.
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();
