// What the status server allows and waits for. Everything a client can make grow has a bound here.

export interface StatusLimits {
  /** Sockets of one process; each costs some 20 KB. */
  readonly connectionsMax: number;
  /** Carriers put thousands of buyers behind one address, and a load generator puts all of them there. */
  readonly connectionsPerAddressMax: number;
  /** A member's tabs and devices. */
  readonly connectionsPerUserMax: number;
  readonly subscriptionsMax: number;
  /** Messages and pings of one socket within one second; more are refused, four times as many close it. */
  readonly messagesPerSecondMax: number;
  readonly messageBytesMax: number;
  /** What a socket has said on channels and is not written yet. */
  readonly saidWaitingMax: number;
  /** With this much unsent a socket is behind: states are skipped until it has drained. */
  readonly behindBytes: number;
  /** With this much unsent a socket is closed. */
  readonly unsentBytesMax: number;
  /** Longest that a socket may stay behind before it is closed. */
  readonly behindMsMax: number;
  /** How often sockets that are behind are looked at. */
  readonly drainCheckMs: number;
  /** Between pings; a socket that has not answered by the next one is dead. */
  readonly heartbeatMs: number;
  /** How long a socket has for its half of the closing handshake. */
  readonly closeMsMax: number;
  /** How long sockets have to close when the process stops. */
  readonly stopMsMax: number;
  /** Change notices are gathered this long, so that one statement reads many orders. */
  readonly gatherMs: number;
  /** Orders read by one statement. */
  readonly ordersPerReadMax: number;
  /** Wait after a read that failed. */
  readonly readRetryMs: number;
  /** First looks at orders under way at once, and orders in each; the pool of connections is shared with HTTP. */
  readonly lookUpsMax: number;
  readonly ordersPerLookUpMax: number;
  /** How often watched orders are compared with Postgres, which mends lost notices. */
  readonly checkMs: number;
  /** Orders compared in one pass; with more the passes take turns. */
  readonly ordersPerCheckMax: number;
  /** Every so many passes those are compared too that are at an end, and may be refunded or fulfilled. */
  readonly passesPerFullCheck: number;
  /** Messages of a support thread that a snapshot has; older ones are had by GET. */
  readonly messagesPerSnapshot: number;
  /** Missed messages of a support thread that are sent one by one; with more the snapshot stands for all of them. */
  readonly messagesMissedMax: number;
  /** The same of the channel `me`. */
  readonly notificationsPerSnapshot: number;
  readonly notificationsMissedMax: number;
  /** Members whose inboxes one transaction collects. */
  readonly inboxesPerReadMax: number;
  /** A member's orders that notices are listened for; what becomes of older ones is found by comparing. */
  readonly ordersPerInboxMax: number;
  /** Inboxes compared in one pass. */
  readonly inboxesPerCheckMax: number;
  /** How often processes tell each other who watches support threads with them. */
  readonly presenceMs: number;
  /** How long that is believed. */
  readonly presenceMsMax: number;
  /** Threads in one such message; at most 1,000. */
  readonly threadsPerNotice: number;
  /** Shortest time between two times that a side of a thread is told to be writing. */
  readonly typingMsMin: number;
  /** Shortest and longest time between two stock updates of a sale. */
  readonly stockMsMin: number;
  readonly stockMsMax: number;
  /** Stock updates sent in a second, over all sockets of a sale, before their rate goes down. */
  readonly stockSendsPerSecond: number;
}

export const STATUS_LIMITS: StatusLimits = {
  connectionsMax: 50_000,
  connectionsPerAddressMax: 15_000,
  connectionsPerUserMax: 20,
  subscriptionsMax: 64,
  messagesPerSecondMax: 50,
  messageBytesMax: 16 * 1_024,
  saidWaitingMax: 64,
  behindBytes: 64 * 1_024,
  unsentBytesMax: 512 * 1_024,
  behindMsMax: 10_000,
  drainCheckMs: 50,
  heartbeatMs: 20_000,
  closeMsMax: 2_000,
  stopMsMax: 2_000,
  gatherMs: 3,
  ordersPerReadMax: 1_000,
  readRetryMs: 250,
  lookUpsMax: 2,
  ordersPerLookUpMax: 256,
  checkMs: 1_000,
  ordersPerCheckMax: 10_000,
  passesPerFullCheck: 10,
  messagesPerSnapshot: 20,
  messagesMissedMax: 200,
  notificationsPerSnapshot: 20,
  notificationsMissedMax: 500,
  inboxesPerReadMax: 100,
  ordersPerInboxMax: 100,
  inboxesPerCheckMax: 5_000,
  presenceMs: 5_000,
  presenceMsMax: 12_000,
  threadsPerNotice: 500,
  typingMsMin: 1_000,
  // Not 100 and 1,000: timers may be early by a millisecond, and reading takes its time too.
  stockMsMin: 110,
  stockMsMax: 950,
  stockSendsPerSecond: 10_000,
};
