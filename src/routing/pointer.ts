/** RFC 6901: the member names and indices that lead to a value, decoded; at least one. `*` may stand for any. */
export type Pointer = readonly string[];

/** `/users/0/a~1b` → its tokens; `undefined` where it is malformed or names the whole document. */
export function parsePointer(text: string): Pointer | undefined {
  if (!/^(\/([^~/]|~[01])*)+$/.test(text)) return undefined;
  // RFC 6901 4: ~1 before ~0, or ~01 would become /.
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Whether what `inner` leads to may be what `outer` leads to, or lie in it. */
export function isWithin(inner: Pointer, outer: Pointer): boolean {
  return (
    outer.length <= inner.length &&
    outer.every((token, index) => token === '*' || inner[index] === '*' || token === inner[index])
  );
}

export function isPointer(value: object): value is Pointer {
  return Array.isArray(value);
}
