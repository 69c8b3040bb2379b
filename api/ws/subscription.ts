// One channel as one socket watches it. It lets versions only grow, and a socket that does not keep up gets no queue of
// states but, when it has drained, the newest one.

/** A state of a channel, ready to be sent. */
export interface Frame {
  readonly version: number;
  readonly message: Buffer;
}

/** The socket's side. */
export interface Reader {
  /** True when the socket has too much unsent to take another state. */
  readonly isBehind: boolean;
  write(message: string | Buffer): void;
  /** The subscription missed a state; the reader calls its `catchUp` when there is room again. */
  fellBehind(subscription: Subscription): void;
}

export class Subscription {
  readonly channelName: string;
  readonly #reader: Reader;
  #version = 0;
  #behind = false;
  #open = true;
  #newest: (() => Frame | undefined) | undefined;

  constructor(channelName: string, reader: Reader) {
    this.channelName = channelName;
    this.#reader = reader;
  }

  /** False once the client left the channel or the socket is gone. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** The highest version that was sent, or that the client came with. */
  get version(): number {
    return this.#version;
  }

  end(): void {
    this.#open = false;
  }

  /**
   * The channel is the client's to watch: says so, and from here on states are sent.
   *
   * @param since the version that the client has
   * @param newest the channel's newest state, for a reader that skipped some
   */
  confirm(message: string, since: number, newest: () => Frame | undefined): void {
    this.#version = since;
    this.#newest = newest;
    this.#reader.write(message);
  }

  /** Sends the state unless the client has it or a newer one, or has no room for it. */
  offer({ version, message }: Frame): void {
    if (!this.#open || version <= this.#version || this.#behind) return;
    if (this.#reader.isBehind) {
      this.#behind = true;
      this.#reader.fellBehind(this);
      return;
    }
    this.#version = version;
    this.#reader.write(message);
  }

  /** Sends what is of the moment and has no version. @returns false when there is no room for it: it is not sent later */
  tell(message: string): boolean {
    if (this.#behind || this.#reader.isBehind) return false;
    if (this.#open) this.#reader.write(message);
    return true;
  }

  /** There is room again: the newest state stands for all that were skipped. */
  catchUp(): void {
    this.#behind = false;
    const frame = this.#newest?.();
    if (frame) this.offer(frame);
  }
}
