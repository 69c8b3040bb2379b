// What a support thread is: who writes in it, what it may hold, and who may see it.

export const THREAD_STATES = ["open", "closed"] as const;
export type ThreadState = (typeof THREAD_STATES)[number];

/** The two sides of a thread: the member that it belongs to, and whoever answers for the shop. */
export const SIDES = ["customer", "agent"] as const;
export type Side = (typeof SIDES)[number];

/** UTF-16 units. In the longest form that JSON has for them a message still fits the WebSocket's 16 KiB. */
export const TEXT_LENGTH_MAX = 2_000;
export const SUBJECT_LENGTH_MAX = 200;
export const CLIENT_ID_LENGTH_MAX = 64;
/** Open threads of one member; another one needs one of them closed. */
export const OPEN_THREADS_MAX = 20;
/** Messages of one thread; then a new one is to be begun. */
export const THREAD_MESSAGES_MAX = 10_000;

/** Who acts: a member, or an operator of the shop. */
export interface Participant {
  readonly id: string;
  readonly isAgent: boolean;
}

export interface Thread {
  readonly id: string;
  readonly customerId: string;
  readonly subject: string;
  readonly state: ThreadState;
  /** Grows by one with every message, read mark and change of state. */
  readonly version: number;
  /** The version up to which the side has read. */
  readonly customerRead: number;
  readonly agentRead: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface Message {
  readonly id: string;
  /** The thread's version with this message. */
  readonly version: number;
  readonly side: Side;
  readonly authorId: string;
  /** The author's own name for it. */
  readonly clientId: string | null;
  readonly text: string;
  readonly at: Date;
}

/** Which side somebody is on: in one's own thread the customer's, whatever else one is. `undefined`: not theirs to see. */
export function sideOf({ customerId }: Pick<Thread, "customerId">, { id, isAgent }: Participant): Side | undefined {
  if (id === customerId) return "customer";
  return isAgent ? "agent" : undefined;
}
