// Who a visitor is. There are no passwords here, anybody may be anybody; what follows the sign-in is as it would be with
// them: a short-lived token in a cookie that scripts cannot read.
import { SignJWT } from 'jose';

/** How long a token is good. The page asks for the next one well before. */
const TOKEN_S = 15 * 60;

/** What people call themselves, as a user id: letters that may stand in a channel's name, and nothing else. */
export function userOf(name) {
  const plain = name.normalize('NFKD').toLowerCase();
  const words = plain.replace(/\p{M}/gu, '').match(/[a-z0-9]+/g);
  return words?.join('-') ?? Buffer.from(name).toString('hex');
}

export class Sessions {
  #secret;
  #cookie;

  /**
   * @param {string} secret an HS256 key, which Sidestream has too
   * @param {string} cookie the name of the cookie that Sidestream reads
   */
  constructor(secret, cookie) {
    this.#secret = new TextEncoder().encode(secret);
    this.#cookie = cookie;
  }

  /**
   * Signs a visitor in.
   * @param {string} name at least one character
   * @returns {Promise<{ user: string, cookie: string }>} `cookie` is the value of Set-Cookie
   */
  async open(name) {
    const user = userOf(name);
    const token = await new SignJWT({ name })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user)
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_S}s`)
      .sign(this.#secret);
    // Cookies do not go by port: Sidestream's, on the same host, is sent it as well. `Secure` wants TLS, which a service
    // that is not on loopback has.
    const cookie = `${this.#cookie}=${token}; Path=/; Max-Age=${TOKEN_S}; HttpOnly; SameSite=Strict`;
    return { user, cookie };
  }
}
