// Completes package-lock.json after `npm install`.
//
// uWebSockets.js is one optional package per platform and Node major. npm only locks those it could see and
// that fit the machine it ran on, and then `npm ci` on another platform (or another Node) ends with
// "Missing: … from lock file". This adds the entries that are named by somebody's optionalDependencies and are
// not locked, without integrity: npm takes them when they fit and skips them when they do not.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));

/** `linux-arm64-22` → the `os`, `cpu` and `engines` that keep npm from installing it elsewhere. */
function constraints(name) {
  const [os, cpu, major] = name.slice(name.lastIndexOf('/') + 1).split('-');
  if (!/^\d+$/.test(major ?? '')) return {};
  return { cpu: [cpu], os: [os], engines: { node: `>=${major}.0.0 <${Number(major) + 1}.0.0` } };
}

let added = 0;
for (const [owner, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${owner}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    const taken = lock.packages[nested] ?? lock.packages[hoisted];
    if (taken && (!/^\d/.test(version) || taken.version === version)) continue;
    const place = lock.packages[hoisted] ? nested : hoisted;
    lock.packages[place] = { version, ...constraints(name), optional: true, ...(entry.dev && { dev: true }) };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} optional entries added`);
