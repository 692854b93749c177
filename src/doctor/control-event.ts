import type { ReadEvent } from './event-reader.ts';

/** What `sidestream.open` says. It may be anybody's: what is not of the right type is as if it were not there. */
export interface Open {
  /** Empty where it is not said. */
  readonly connection: string;
  /** The cursor of that moment; empty where there is none. */
  readonly id: string;
  readonly channels: readonly { readonly resume: string; readonly reason: string }[];
}

/** What `sidestream.close` says. */
export interface Close {
  readonly reason: string;
  readonly retryMs: number | undefined;
  /** Of a stream that was refused in-band. */
  readonly code: string;
}

export function readOpen({ data, id }: ReadEvent): Open {
  const { connection, channels } = readObject(data);
  return {
    connection: textOf(connection),
    id,
    channels: (Array.isArray(channels) ? channels : []).map((channel: unknown) => {
      const { resume, reason } = isObject(channel) ? channel : {};
      return { resume: textOf(resume), reason: textOf(reason) };
    }),
  };
}

export function readClose({ data }: ReadEvent): Close {
  const { reason, retry, code } = readObject(data);
  return {
    reason: textOf(reason),
    retryMs: typeof retry === 'number' && retry >= 0 ? retry : undefined,
    code: textOf(code),
  };
}

/** A JSON object, or an empty one where the text is something else. */
export function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    // SyntaxError
    return {};
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
