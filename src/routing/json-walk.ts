import type { Pointer } from './pointer.ts';
import type { Redaction } from './redaction.ts';

/** What is read from a payload. */
export type FieldName = 'event' | 'id' | 'shownId' | 'key';

/** What a field holds: text; `undefined` where nothing is there; `null` where what is there can be no field's. */
export type Field = string | null | undefined;

/** What is to be done at a place in a JSON text, and where to go on from there. */
export class Place {
  /** Stands for the value, whatever that is. */
  replacement: string | undefined;
  readonly fields: FieldName[] = [];
  readonly #children = new Map<string, Place>();
  #any: Place | undefined;

  get isLeaf(): boolean {
    return this.#children.size === 0 && this.#any === undefined;
  }

  /** The place that a pointer leads to from here, made where there is none. */
  at(pointer: Pointer): Place {
    let place: Place = this;
    for (const token of pointer) place = place.#child(token);
    return place;
  }

  /** Adds those places one step further that a member name or index is of. */
  addBelow(name: string, places: Place[]): void {
    const child = this.#children.get(name);
    if (child !== undefined) places.push(child);
    if (this.#any !== undefined) places.push(this.#any);
  }

  #child(token: string): Place {
    if (token === '*') {
      this.#any ??= new Place();
      return this.#any;
    }
    const known = this.#children.get(token);
    if (known !== undefined) return known;
    const made = new Place();
    this.#children.set(token, made);
    return made;
  }
}

/** An array or object that is being walked through. */
interface Level {
  /** The next item's; `undefined` in an object. */
  index: number | undefined;
  readonly places: readonly Place[];
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const NOWHERE: readonly Place[] = [];
const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const CLOSE_ARRAY = 93;
const CLOSE_OBJECT = 125;
const NUMBER = /[-0-9]/;
const WORD = /[-+.\w]+/y;
const BRACKET_OR_STRING = /["[\]{}]/g;

/**
 * Goes once through a text that is known to be JSON. The text is edited, not parsed and written anew: numbers that no
 * JavaScript number can hold keep their digits, and a member that is there twice is redacted twice, whichever of the two a
 * reader takes. It does not call itself, so that no depth of nesting ends it.
 */
export class JsonWalk {
  readonly fields: Partial<Record<FieldName, Field>> = {};
  readonly #text: string;
  readonly #redaction: Redaction;
  readonly #edits: Edit[] = [];
  readonly #levels: Level[] = [];

  constructor(text: string, root: Place, redaction: Redaction) {
    this.#text = text;
    this.#redaction = redaction;
    let at = this.#value(this.#behindSpace(0), [root]);
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      at = this.#behindSpace(at);
      const code = text.charCodeAt(at);
      if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
        this.#levels.pop();
        at += 1;
      } else at = level.index === undefined ? this.#member(at, level) : this.#item(at, level);
    }
  }

  /** The text as it may be seen; the very same where nothing was taken out. */
  get redacted(): string {
    if (this.#edits.length === 0) return this.#text;
    let result = '';
    let from = 0;
    for (const { start, end, text } of this.#edits) {
      result += this.#text.slice(from, start) + text;
      from = end;
    }
    return result + this.#text.slice(from);
  }

  #item(at: number, level: Level): number {
    const { index = 0, places } = level;
    level.index = index + 1;
    return this.#value(at, below(places, String(index)));
  }

  #member(at: number, { places }: Level): number {
    const end = this.#endOfString(at);
    const name = this.#string(at, end);
    const shown = this.#redaction.text(name);
    if (shown !== name) this.#edit(at, end, JSON.stringify(shown));
    return this.#value(this.#behindSpace(end), below(places, name));
  }

  /** Gives where to go on: behind it, or in it. */
  #value(at: number, places: readonly Place[]): number {
    const hidden = places.find(({ replacement }) => replacement !== undefined);
    if (hidden?.replacement !== undefined) {
      const end = this.#endOfValue(at);
      this.#edit(at, end, JSON.stringify(hidden.replacement));
      return end;
    }
    const first = this.#text.charAt(at);
    if (first === '"') return this.#scalar(at, this.#endOfString(at), places);
    if (first !== '[' && first !== '{') return this.#scalar(at, this.#end(WORD, at), places);
    this.#found(places, () => null);
    if (this.#redaction.isEmpty && places.every(({ isLeaf }) => isLeaf)) return this.#endOfValue(at);
    this.#levels.push({ index: first === '[' ? 0 : undefined, places });
    return at + 1;
  }

  #scalar(at: number, end: number, places: readonly Place[]): number {
    const isString = this.#text.charCodeAt(at) === QUOTE;
    const isNumber = NUMBER.test(this.#text.charAt(at));
    const value = isString ? this.#string(at, end) : this.#text.slice(at, end);
    let shown = value;
    if (isString) shown = this.#redaction.text(value);
    else if (isNumber) shown = this.#redaction.number(value);
    if (shown !== value) this.#edit(at, end, JSON.stringify(shown));
    // Where null is, nothing is. What tells events apart is never sent: it is taken as it came, a key with its quotes.
    this.#found(places, (name) => {
      if (value === 'null' && !isString) return undefined;
      if (name === 'key') return isString ? JSON.stringify(value) : value;
      return name === 'id' ? value : shown;
    });
    return end;
  }

  #found(places: readonly Place[], read: (name: FieldName) => Field): void {
    for (const { fields } of places) for (const name of fields) this.fields[name] = read(name);
  }

  #edit(start: number, end: number, text: string): void {
    this.#edits.push({ start, end, text });
  }

  #string(at: number, end: number): string {
    const inner = this.#text.slice(at + 1, end - 1);
    return inner.includes('\\') ? String(JSON.parse(this.#text.slice(at, end))) : inner;
  }

  #endOfValue(at: number): number {
    const first = this.#text.charAt(at);
    if (first === '"') return this.#endOfString(at);
    if (first !== '[' && first !== '{') return this.#end(WORD, at);
    let depth = 0;
    let end = at;
    do {
      BRACKET_OR_STRING.lastIndex = end;
      const [found] = BRACKET_OR_STRING.exec(this.#text) ?? [];
      end = BRACKET_OR_STRING.lastIndex;
      if (found === '"') end = this.#endOfString(end - 1);
      else depth += found === '[' || found === '{' ? 1 : -1;
    } while (depth > 0);
    return end;
  }

  #endOfString(at: number): number {
    for (let end = at + 1; ; end += 1) {
      end = this.#text.indexOf('"', end);
      let escapes = end;
      while (this.#text.charCodeAt(escapes - 1) === BACKSLASH) escapes -= 1;
      if ((end - escapes) % 2 === 0) return end + 1;
    }
  }

  /** And behind commas and colons: the text is known to have them where they belong. */
  #behindSpace(at: number): number {
    let end = at;
    for (let code = this.#text.charCodeAt(end); code <= 32 || code === COMMA || code === COLON; ) {
      end += 1;
      code = this.#text.charCodeAt(end);
    }
    return end;
  }

  #end(form: RegExp, at: number): number {
    form.lastIndex = at;
    form.test(this.#text);
    return form.lastIndex;
  }
}

function below(places: readonly Place[], name: string): readonly Place[] {
  if (places.length === 0) return NOWHERE;
  const found: Place[] = [];
  for (const place of places) place.addBelow(name, found);
  return found;
}
