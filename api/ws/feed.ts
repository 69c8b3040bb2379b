// What a kind of channel must be able to do. Another kind is another feed, and a name in protocol.ts.
import type { Identity } from "../auth/tokens.ts";
import type { Said } from "./protocol.ts";
import type { Subscription } from "./subscription.ts";

export interface SubscribeRequest {
  /** The channel's id, without its kind. */
  readonly id: string;
  readonly caller: Identity | undefined;
  /** The version that the client has already. */
  readonly since: number | undefined;
}

export interface Feed {
  /**
   * Decides whether the caller may watch the channel; confirms the subscription and offers it its first states if so.
   * Does nothing for a subscription that was ended in the meantime.
   *
   * @throws OnrushError with `NOT_FOUND` when there is no such channel or it is not the caller's to see
   */
  subscribe(request: SubscribeRequest, subscription: Subscription): Promise<void>;
  /** Forgets a subscription that `subscribe` was called for. */
  unsubscribe(id: string, subscription: Subscription): void;
  /**
   * Takes what a client says on the channel; a feed without it has channels that are only listened to.
   *
   * @param subscription the client's on this channel, if there is one
   * @throws OnrushError with `NOT_FOUND` when the channel is not the caller's to see
   */
  say?(id: string, caller: Identity | undefined, said: Said, subscription: Subscription | undefined): Promise<void>;
  stop(): void;
}
