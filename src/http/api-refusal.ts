/** Why a request to the API gets no further than HTTP. Codes of the control plane; docs/control.md lists them. */
export type ApiRefusalCode =
  | 'CONTROL_DISABLED'
  | 'CONTROL_UNAUTHORIZED'
  | 'CONTROL_UNKNOWN'
  | 'CONTROL_METHOD'
  | 'CONTROL_MEDIA_TYPE'
  | 'CONTROL_TIMEOUT'
  | 'CONTROL_TOO_LARGE'
  | 'CONTROL_MALFORMED'
  | 'CONTROL_INVALID'
  | 'CONTROL_BUSY';

/** A request that is not handed on. */
export class ApiRefusal extends Error {
  readonly code: ApiRefusalCode;
  /** Besides those of every answer. */
  readonly headers: Readonly<Record<string, string>>;

  /** The message is for who asked: names, never a value. */
  constructor(code: ApiRefusalCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}
