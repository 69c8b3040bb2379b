// The demo's own instance: `npm start` as it is, except that it stops when the demo is gone, however that went.
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref(); // to listen for that is no reason to stay when everything has stopped
await import("../../runtime/start.ts");
