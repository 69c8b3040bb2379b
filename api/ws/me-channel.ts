// One member's inbox as this process knows it, and the member's sockets that watch it. A notification is an event of its own;
// the newest event says how many are unread.
import type { Inbox, Notification } from "../../engine/notifications/inbox.ts";
import { representNotification } from "../notifications/representation.ts";
import { stateMessage } from "./protocol.ts";
import type { Frame, Subscription } from "./subscription.ts";

const NAME = "me";

export class MeChannel {
  readonly subscriptions = new Set<Subscription>();
  /** Subscribers whose first look at the inbox is under way. */
  opening = 0;
  /** Orders that notices are listened for. */
  readonly orders = new Set<string>();
  readonly #notificationsMax: number;
  #inbox: Inbox | undefined;

  /** `notificationsMax`: those of a snapshot. */
  constructor(notificationsMax: number) {
    this.#notificationsMax = notificationsMax;
  }

  /** 0 before the first look, or while the inbox is empty. */
  get version(): number {
    return this.#inbox?.version ?? 0;
  }

  get isKnown(): boolean {
    return this.#inbox !== undefined;
  }

  /** Takes the state of a first look; nobody is told, as nobody watches yet. */
  begin(inbox: Inbox): void {
    this.#inbox ??= inbox;
  }

  /** Takes what came after this state, and sends it. `isWhole`: false when there was more than was read. */
  advance(inbox: Inbox, isWhole: boolean): void {
    const from = this.version;
    if (inbox.version <= from) return;
    const added = inbox.notifications.filter(({ version }) => version > from);
    const notifications = [...(this.#inbox?.notifications ?? []), ...added].slice(-this.#notificationsMax);
    this.#inbox = { ...inbox, notifications };
    const frames = isWhole ? eventsOf({ ...inbox, notifications: added }, from) : [this.snapshot()];
    for (const frame of frames) if (frame) for (const subscription of this.subscriptions) subscription.offer(frame);
  }

  /** Sends a subscription what it has not seen of the state. */
  catchUp(subscription: Subscription): void {
    const inbox = this.#inbox;
    if (!inbox || subscription.version >= inbox.version) return;
    const missed = inbox.notifications.filter(({ version }) => version > subscription.version);
    const mayReachFurther = missed.length === this.#notificationsMax;
    const frames = mayReachFurther
      ? [snapshotOf(inbox)]
      : eventsOf({ ...inbox, notifications: missed }, subscription.version);
    for (const frame of frames) subscription.offer(frame);
  }

  snapshot(): Frame | undefined {
    return this.#inbox && snapshotOf(this.#inbox);
  }
}

/** Each notification after `version`, in order, the newest state with how many are unread. */
export function* eventsOf({ version: newest, unread, notifications }: Inbox, version: number): Generator<Frame> {
  let last = version;
  for (const notification of notifications) {
    last = notification.version;
    yield eventOf(last, notification, last === newest ? unread : undefined);
  }
  if (last < newest) yield eventOf(newest, undefined, unread);
}

export function snapshotOf({ version, unread, notifications }: Inbox): Frame {
  const data = { unread, notifications: notifications.map(representNotification) };
  return { version, message: stateMessage("snapshot", NAME, version, JSON.stringify(data)) };
}

function eventOf(version: number, notification: Notification | undefined, unread: number | undefined): Frame {
  const data = { notification: notification && representNotification(notification), unread };
  return { version, message: stateMessage("event", NAME, version, JSON.stringify(data)) };
}
